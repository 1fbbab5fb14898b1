import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { type HypervisorFixture, hypervisorContract } from '../hypervisor.contract.ts'
import type { MachineDefinition, MachineEvent } from '../hypervisor.ts'
import { sampleDefinition } from '../sample-definition.ts'
import { createFakeHypervisor } from './fake-hypervisor.ts'
import { createFakeWorld } from './fake-world.ts'

async function makeFixture(): Promise<HypervisorFixture> {
  const world = createFakeWorld()
  let count = 0
  const definition = (): MachineDefinition => {
    count += 1
    const disks = [{ volumeId: 'vol-aaaaaaaa', path: `/disks/${count}.qcow2`, format: 'qcow2' as const }]
    return sampleDefinition({ runDirectory: `/run/${count}`, disks })
  }
  world.failStarts(({ tapName }) =>
    tapName === 'missing' ? new DialtoneError('network-failed', 'the tap missing does not exist') : undefined,
  )
  return {
    hypervisor: createFakeHypervisor({ world }),
    nextAgent: () => createFakeHypervisor({ world }),
    definition: async () => definition(),
    killFromOutside: (machine) => {
      for (const { pid, definition } of world.machines.values()) {
        if (pid === machine.pid) world.crash(definition.runDirectory, 'ended by SIGKILL')
      }
    },
    brokenDefinitions: async () => new Map([['no such tap', { ...definition(), tapName: 'missing' }]]),
    isNothingLeft: async ({ runDirectory }) => world.living(runDirectory) === undefined,
    dispose: async () => undefined,
  }
}

hypervisorContract('fake', makeFixture)

test('a deaf machine throws deadlines and can be killed; an unkillable one cannot', async () => {
  const world = createFakeWorld()
  const definition = sampleDefinition({ runDirectory: '/run/1' })
  const machine = await createFakeHypervisor({ world }).start(definition)
  const inside = world.living('/run/1')
  assert.ok(inside)
  inside.isDeaf = true
  inside.isUnkillable = true
  await assert.rejects(machine.pause(), { code: 'deadline-exceeded' })
  await assert.rejects(machine.kill(10), { code: 'deadline-exceeded' })
  inside.isUnkillable = false
  await machine.kill(10)
  assert.equal((await machine.exited).reason, 'killed')
})

test('a panic, a failing storage and a reset from inside are told', async () => {
  const world = createFakeWorld()
  const machine = await createFakeHypervisor({ world }).start(sampleDefinition({ runDirectory: '/run/1' }))
  const events: MachineEvent[] = []
  machine.onEvent((event) => events.push(event))
  await machine.resume()
  world.resetGuest('/run/1')
  world.setState('/run/1', 'io-error')
  world.panic('/run/1')
  assert.deepEqual(
    events.map((event) => (event.kind === 'state' ? event.state : event.kind)),
    ['running', 'guest-reset', 'io-error', 'guest-panicked', 'paused'],
  )
})
