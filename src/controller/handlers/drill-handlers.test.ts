/** What may be broken on purpose, and what only on an operator's word. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cloud, startCloud } from '../../engine/cloud.fixture.ts'
import { observe } from '../../engine/fake-host.fixture.ts'
import type { VmId } from '../../model/ids.ts'
import type { DrillKind } from '../../model/recovery/drill.ts'
import { probeSchema } from '../../model/recovery/probe.ts'
import type { VmSpec } from '../../model/vm.ts'
import { drillHandlers } from './drill-handlers.ts'

const probe = probeSchema.parse({ check: { kind: 'tcp', port: 80 } })
const caller = { name: 'ann', role: 'operator' } as const
const scope = { signal: new AbortController().signal, after: undefined }
const fenced = { hosts: ['ada', 'bob'].map((name) => ({ name, hasPowerFence: true })) }

const drill = async (cloud: Cloud, kind: DrillKind = 'kill-qemu', confirmed = false) => {
  const client = () => assert.fail('no agent is streamed from here')
  const agents = { ...cloud.agents.port, client, close: async () => undefined }
  const input = { params: { vm: 'web' }, query: undefined, body: { kind, confirmed } }
  return drillHandlers({ engine: cloud.engine(), agents }).drillVm(input, caller, scope)
}
const run = (cloud: Cloud, changes: Partial<VmSpec> = {}): Promise<VmId> =>
  cloud.createRunning('web', { spec: { probe, ...changes } })

test('a machine that is not marked drillable is broken only on an operator’s word', async () => {
  await using cloud = await startCloud(fenced)
  await run(cloud)
  await assert.rejects(drill(cloud), { code: 'forbidden', message: /repeat the drill with --yes/ })
  assert.equal(
    cloud.agents.orders.some((order) => order.startsWith('injectFailure')),
    false,
  )
  assert.equal((await drill(cloud, 'kill-qemu', true)).task.kind, 'vm.drill')
})

test('one that is marked is broken at once, but by one drill at a time', async () => {
  await using cloud = await startCloud(fenced)
  const vmId = await run(cloud, { drillable: true })
  const { task } = await drill(cloud)
  await assert.rejects(drill(cloud, 'panic'), { code: 'in-use' })
  await cloud.clock.until('it is injected', () =>
    cloud.agents.orders.some((order) => order.startsWith('injectFailure')),
  )
  const home = [...cloud.agents.hosts.values()].find(({ machines }) => machines.has(vmId))
  const machine = home?.machines.get(vmId)
  assert.ok(home !== undefined && machine !== undefined)
  machine.phase = 'running'
  const at = cloud.clock.wallTime().toISOString()
  const rung = { rung: 'resume-here', isCured: true, tookMs: 90, detail: '' } as const
  observe(home, { kind: 'rung-ended', vmId, at, epoch: 1, incarnation: 1, ...rung })
  await cloud.clock.until('it ends', () => [...cloud.state().tasks.values()].every(({ endedAt }) => endedAt !== null))
  assert.equal([...cloud.state().tasks.values()].find(({ id }) => id === task.id)?.state, 'succeeded')
  assert.equal((await drill(cloud)).task.state, 'running')
})

test('a machine that does not run, is not probed or does not serve is not drilled: nothing would be measured', async () => {
  await using unprobed = await startCloud(fenced)
  await unprobed.createRunning('web', { spec: { drillable: true } })
  await assert.rejects(drill(unprobed), { code: 'invalid-input' })
  await using cloud = await startCloud(fenced)
  const vmId = await run(cloud, { drillable: true })
  for (const { machines } of cloud.agents.hosts.values()) {
    const machine = machines.get(vmId)
    if (machine !== undefined) machine.service = 'wrong'
  }
  await cloud.clock.until('it is seen', () => cloud.vm(vmId)?.status?.recovery?.service === 'wrong')
  await assert.rejects(drill(cloud), { code: 'wrong-state', message: /does not serve/ })
  await cloud.change(vmId, { desired: 'stopped' })
  await cloud.clock.until('it is stopped', () => cloud.vm(vmId)?.status?.state === 'stopped')
  await assert.rejects(drill(cloud), { code: 'wrong-state', message: /needs it running/ })
})

test('a host is killed only where the machine can go on elsewhere, the host comes back, and nobody else is hit by surprise', async () => {
  await using plain = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
  await run(plain, { drillable: true })
  await assert.rejects(drill(plain, 'kill-host'), { code: 'wrong-state', message: /no power fence/ })
  await using cloud = await startCloud({ hosts: [{ name: 'ada', hasPowerFence: true }] })
  await run(cloud, { drillable: true, ha: false })
  await assert.rejects(drill(cloud, 'kill-host'), { code: 'wrong-state', message: /no HA/ })
  await using crowded = await startCloud({ hosts: [{ name: 'ada', hasPowerFence: true }] })
  await run(crowded, { drillable: true })
  await crowded.createRunning('app')
  await assert.rejects(drill(crowded, 'kill-host'), { code: 'forbidden', message: /app would fail with ada/ })
})
