import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  hostIdOf,
  imageIdOf,
  makeCluster,
  makeHost,
  makeVm,
  sessionIdOf,
  someTime,
} from '../../model/cluster-state.fixture.ts'
import { type SecurityGroup, type SecurityRule, securityRuleSchema } from '../../model/firewall.ts'
import { securityGroupIdSchema } from '../../model/ids.ts'
import { vmSpecSchema } from '../../model/vm.ts'
import { hostFirewalls } from './host-firewalls.ts'

const web = securityGroupIdSchema.parse('sg-wwwwwwww')
const database = securityGroupIdSchema.parse('sg-dddddddd')
const hosts = ['ada', 'bob', 'cyd'].map((name) => makeHost(name))
const fromWeb: SecurityRule = {
  direction: 'in',
  protocol: 'tcp',
  ports: [{ from: 5432, to: 5432 }],
  peer: { kind: 'group', groupId: web },
}
const groups = [groupOf(web, []), groupOf(database, [fromWeb])]

test('a group as a source is the addresses of its machines on all hosts, in order', () => {
  const cluster = makeCluster({
    hosts,
    securityGroups: groups,
    vms: [
      machine('w1', { on: 'bob', address: '10.0.0.20', groupIds: [web] }),
      machine('w2', { on: 'cyd', address: '10.0.0.3', groupIds: [web] }),
      machine('db', { on: 'ada', address: '10.0.0.9', groupIds: [database] }),
      machine('other', { on: 'ada', address: '10.0.0.10', groupIds: [] }),
    ],
  })
  assert.deepEqual(hostFirewalls(cluster).get(hostIdOf('ada')), {
    groups: [
      {
        id: database,
        rules: [{ direction: 'in', protocol: 'tcp', ports: fromWeb.ports, peers: ['10.0.0.3', '10.0.0.20'] }],
      },
    ],
    machines: [{ vmId: makeVm('db').spec.id, groupIds: [database] }],
  })
})

test('a group that no machine has is nobody, not anybody', () => {
  const vms = [machine('db', { on: 'ada', address: '10.0.0.9', groupIds: [database] })]
  const firewall = hostFirewalls(makeCluster({ hosts, securityGroups: groups, vms })).get(hostIdOf('ada'))
  assert.deepEqual(firewall?.groups[0]?.rules[0]?.peers, [])
})

test('a group that is gone is still named, so that its machines are closed and not open', () => {
  const vms = [machine('db', { on: 'ada', address: '10.0.0.9', groupIds: [database] })]
  const firewall = hostFirewalls(makeCluster({ hosts, vms })).get(hostIdOf('ada'))
  assert.deepEqual(firewall?.groups, [{ id: database, rules: [] }])
  assert.equal(firewall?.machines.length, 1)
})

test('hosts know the machines that are there or would go there, and no others', () => {
  const standby = {
    hostId: hostIdOf('bob'),
    session: sessionIdOf('bob'),
    imageId: imageIdOf('one'),
    chosenAt: someTime,
    reason: 'it fits',
  }
  const db = machine('db', { on: 'ada', address: '10.0.0.9', groupIds: [database] })
  const firewalls = hostFirewalls(makeCluster({ hosts, securityGroups: groups, vms: [{ ...db, standby }] }))
  assert.deepEqual([...firewalls.keys()], [hostIdOf('ada'), hostIdOf('bob')])
  assert.deepEqual(firewalls.get(hostIdOf('bob')), firewalls.get(hostIdOf('ada')))
})

test('the order in which machines and groups are stored makes no difference', () => {
  const vms = ['a', 'b', 'c'].map((name, index) =>
    machine(name, { on: 'ada', address: `10.0.0.1${index}`, groupIds: [web, database] }),
  )
  const forwards = makeCluster({ hosts, securityGroups: groups, vms })
  const backwards = makeCluster({ hosts, securityGroups: [...groups].reverse(), vms: [...vms].reverse() })
  assert.equal(
    JSON.stringify(hostFirewalls(backwards).get(hostIdOf('ada'))),
    JSON.stringify(hostFirewalls(forwards).get(hostIdOf('ada'))),
  )
})

test('a VM of before there were security groups is open', () => {
  const { securityGroupIds: _, ...old } = makeVm('web').spec
  assert.deepEqual(vmSpecSchema.parse(old).securityGroupIds, [])
})

test('a rule with ports for what has none, or with a range that ends before it begins, is refused', () => {
  const rule = { ...fromWeb, peer: { kind: 'any' } }
  assert.equal(securityRuleSchema.safeParse(rule).success, true)
  assert.equal(securityRuleSchema.safeParse({ ...rule, protocol: 'icmp' }).success, false)
  assert.equal(securityRuleSchema.safeParse({ ...rule, ports: [{ from: 90, to: 80 }] }).success, false)
})

function groupOf(id: SecurityGroup['id'], rules: readonly SecurityRule[]): SecurityGroup {
  return { id, name: id, rules: [...rules], createdAt: someTime }
}

function machine(
  name: string,
  {
    on,
    address,
    groupIds,
  }: { readonly on: string; readonly address: string; readonly groupIds: SecurityGroup['id'][] },
) {
  return makeVm(name, { on, spec: { address, securityGroupIds: groupIds } })
}
