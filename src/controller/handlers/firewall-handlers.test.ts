/** Security groups over the API, in a cloud under virtual time: stored, told to hosts, and never pulled from under a machine. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cloud, startCloud } from '../../engine/cloud.fixture.ts'
import { writeHostStatus } from '../../engine/hosts/write-host-status.ts'
import type { firewallRoutes } from '../../model/api/firewall-routes.ts'
import type { HandlerInput } from '../../model/api/route.ts'
import { hostIdOf } from '../../model/cluster-state.fixture.ts'
import { firewallHandlers } from './firewall-handlers.ts'

const hosts = { hosts: ['ada', 'bob'].map((name) => ({ name })) }
const caller = { name: 'ann', role: 'operator' } as const
const scope = { signal: new AbortController().signal, after: undefined }
type Rule = HandlerInput<(typeof firewallRoutes)['addSecurityRule']>['body']
const webRule: Rule = { direction: 'in', protocol: 'tcp', ports: [{ from: 80, to: 80 }], peer: 'any' }

test('a group and its rules are stored once, by name, and shown in words', async () => {
  await using cloud = await startCloud(hosts)
  const { create, add, remove, list } = callsOf(cloud)
  await create('web')
  await assert.rejects(create('web'), { code: 'name-taken' })
  await add('web', webRule)
  await add('web', webRule)
  await add('web', { ...webRule, protocol: 'icmp', ports: [], peer: '10.0.0.0/8' })
  assert.deepEqual(await list(), [['web', ['in tcp 80 from anybody', 'in icmp from 10.0.0.0/8']]])
  await remove('web', webRule)
  await assert.rejects(remove('web', webRule), { code: 'not-found', message: /no such rule/ })
  assert.deepEqual(await list(), [['web', ['in icmp from 10.0.0.0/8']]])
})

test('what is no rule is refused with the reason', async () => {
  await using cloud = await startCloud(hosts)
  const { create, add } = callsOf(cloud)
  await create('web')
  await assert.rejects(add('web', { ...webRule, protocol: 'icmp' }), {
    code: 'invalid-input',
    message: /only tcp and udp/,
  })
  await assert.rejects(add('web', { ...webRule, peer: 'nobody' }), { code: 'not-found', message: /group nobody/ })
  await assert.rejects(add('web', { ...webRule, peer: '10.0.0.0/99' }), { code: 'not-found' })
})

test('a group that a VM has, or that another group names, is not deleted', async () => {
  await using cloud = await startCloud(hosts)
  const { create, add, apply, remove, drop, list } = callsOf(cloud)
  await cloud.createRunning('app')
  for (const name of ['web', 'db']) await create(name)
  await apply('app', 'web')
  await assert.rejects(drop('web'), { code: 'in-use', message: /used by app/ })
  await apply('app')
  await add('db', { ...webRule, peer: 'web' })
  await assert.rejects(drop('web'), { code: 'in-use', message: /the group db/ })
  await remove('db', { ...webRule, peer: 'web' })
  await drop('web')
  assert.deepEqual(await list(), [['db', []]])
  await create('web')
})

test('a running machine has its groups within moments, without a new start, and loses them as soon', async () => {
  await using cloud = await startCloud(hosts)
  const { create, add, apply } = callsOf(cloud)
  const vmId = await cloud.createRunning('app')
  const otherId = await cloud.createRunning('other')
  await create('web')
  await add('web', { ...webRule, peer: 'web' })
  const [home = ''] = cloud.agents.runningOn(vmId)
  const told = () => cloud.agents.host(home).firewall
  assert.deepEqual(told().machines, [])
  await apply('app', 'web')
  await cloud.clock.until('its host is told', () => told().machines[0]?.vmId === vmId, 1_000)
  assert.deepEqual(told().groups[0]?.rules[0]?.peers, [cloud.vm(vmId)?.spec.address])
  await apply('other', 'web')
  await cloud.clock.until(
    'the newcomer is known as a source',
    () => told().groups[0]?.rules[0]?.peers?.length === 2,
    1_000,
  )
  await apply('other')
  await cloud.clock.until('it is none any more', () => told().groups[0]?.rules[0]?.peers?.length === 1, 1_000)
  await apply('app')
  await cloud.clock.until('it is open', () => told().machines.length === 0, 1_000)
  for (const id of [vmId, otherId]) assert.equal(cloud.vm(id)?.placement?.epoch, 1)
})

test('a host is ordered to start a machine only after it has heard of its groups', async () => {
  await using cloud = await startCloud(hosts)
  const { create, apply } = callsOf(cloud)
  const vmId = await cloud.createRunning('app')
  await create('web')
  await apply('app', 'web')
  await cloud.change(vmId, { desired: 'stopped' })
  await cloud.clock.until('it is stopped', () => cloud.agents.runningOn(vmId).length === 0)
  // As after a start anew: the agent holds what it was told last, and that is nothing.
  for (const host of cloud.agents.hosts.values())
    Object.assign(host, { configurationRevision: 0, firewall: { groups: [], machines: [] } })
  const known: boolean[] = []
  cloud.agents.intercept = (call, moment, host) => {
    if (call === 'startMachine' && moment === 'before')
      known.push(host.firewall.machines.some((machine) => machine.vmId === vmId))
  }
  await cloud.change(vmId, { desired: 'running' })
  await cloud.clock.until('it runs', () => cloud.agents.runningOn(vmId).length === 1, 10_000)
  assert.deepEqual(known, [true])
})

test('groups are refused for a machine on a host that cannot keep them, with the reason', async () => {
  await using cloud = await startCloud(hosts)
  const { create, apply } = callsOf(cloud)
  const vmId = await cloud.createRunning('app')
  await create('web')
  const [home = ''] = cloud.agents.runningOn(vmId)
  await writeHostStatus(cloud.engine().leader, hostIdOf(home), (status) => ({
    status: { ...status, firewall: 'stateless', firewallDetail: 'br_netfilter is missing' },
  }))
  await assert.rejects(apply('app', 'web'), {
    code: 'wrong-state',
    message: /can't keep security groups: br_netfilter/,
  })
  await apply('app')
})

function callsOf(cloud: Cloud) {
  const client = () => assert.fail('no agent is streamed from here')
  const agents = { ...cloud.agents.port, client, close: async () => undefined }
  const handlers = firewallHandlers({ engine: cloud.engine(), agents })
  const query = undefined
  return {
    create: async (name: string) =>
      handlers.createSecurityGroup({ params: undefined, query, body: { name } }, caller, scope),
    add: async (group: string, rule: Rule) =>
      handlers.addSecurityRule({ params: { group }, query, body: rule }, caller, scope),
    remove: async (group: string, rule: Rule) =>
      handlers.removeSecurityRule({ params: { group }, query, body: rule }, caller, scope),
    drop: async (group: string) =>
      handlers.deleteSecurityGroup({ params: { group }, query, body: undefined }, caller, scope),
    apply: async (vm: string, ...groups: string[]) =>
      handlers.setVmSecurityGroups({ params: { vm }, query, body: { groups } }, caller, scope),
    async list() {
      const { groups } = await handlers.listSecurityGroups({ params: undefined, query, body: undefined }, caller, scope)
      return groups.map(({ name, rules }) => [name, rules.map(({ sentence }) => sentence)])
    },
  }
}
