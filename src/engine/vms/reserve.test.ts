/** The reserve in a whole cloud: what was accepted survives the loss of any host, by the engine that really recovers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { placeVm } from '../../control/place-vm.ts'
import { refuseByReserve } from '../../control/placement/judge-reserve.ts'
import { makeVm } from '../../model/cluster-state.fixture.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import { put } from '../leader.ts'
import { keys } from '../state/keys.ts'

/** Asks for machines of these sizes until the reserve refuses; gives the names of those that were made. */
async function fill(cloud: Cloud, sizesMiB: readonly number[]): Promise<readonly string[]> {
  const made: string[] = []
  for (const [index, memoryMiB] of sizesMiB.entries()) {
    const name = `vm${index}`
    const vm = makeVm(name, { spec: { memoryMiB, number: 10 + index, address: `10.0.0.${30 + index}` } })
    const choice = placeVm(cloud.state(), vm.spec)
    if (choice.kind === 'no-host-fits') continue
    if (refuseByReserve(cloud.state(), { vm, hostId: choice.hostId }) !== undefined) continue
    await cloud.createRunning(name, { spec: vm.spec })
    made.push(name)
  }
  return made
}

for (const dying of ['ada', 'bob', 'cyd']) {
  test(`everything that was accepted runs again after the loss of ${dying}`, async () => {
    await using cloud = await startCloud({
      hosts: ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence: true })),
    })
    const { cluster } = cloud.state()
    await cloud.store.commit({
      conditions: [],
      writes: [put(keys.cluster, { ...cluster, hostFailuresToTolerate: 1 })],
    })
    await cloud.clock.advance(0)
    const made = await fill(cloud, [900, 1_400, 700, 1_200, 1_100, 1_300, 600, 500, 900, 1_000, 800])
    assert.ok(made.length >= 5 && made.length < 11, `${made.length} were made`)
    cloud.agents.host(dying).isCut = true
    const runsAgain = () =>
      [...cloud.state().vms.values()].every(
        ({ status }) => status?.state === 'running' && status.hostId !== cloud.host(dying).spec.id,
      )
    await cloud.clock.until('all run again', runsAgain, 60_000)
    assert.deepEqual(cloud.agents.twoWriters, [])
  })
}
