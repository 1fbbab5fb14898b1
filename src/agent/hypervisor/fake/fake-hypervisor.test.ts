import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { diskMirrorContract } from '../disk-mirror.contract.ts'
import { growthContract } from '../growth.contract.ts'
import { type HypervisorFixture, hypervisorContract } from '../hypervisor.contract.ts'
import type { MachineDefinition, MachineEvent } from '../hypervisor.ts'
import { memoryImageContract } from '../memory-image.contract.ts'
import { movingMachineContract } from '../moving-machine.contract.ts'
import { sampleDefinition } from '../sample-definition.ts'
import { createFakeHypervisor } from './fake-hypervisor.ts'
import { createFakeWorld, type FakeWorld } from './fake-world.ts'

async function makeFixture(): Promise<HypervisorFixture> {
  const world = createFakeWorld()
  let count = 0
  const definition = (): MachineDefinition => {
    count += 1
    const disks = [{ volumeId: 'vol-root2345', path: `/disks/${count}.qcow2`, format: 'qcow2' as const }]
    return sampleDefinition({ runDirectory: `/run/${count}`, disks })
  }
  world.failStarts(({ tapName }) =>
    tapName === 'missing' ? new DialtoneError('network-failed', 'the tap missing does not exist') : undefined,
  )
  world.failOrders(({ kind, paths }) =>
    (kind === 'capture' || kind === 'add-overlays') && paths.some((path) => path.includes('absent'))
      ? new DialtoneError('hypervisor-failed', 'there is no such overlay')
      : paths.some((path) => path.startsWith('/broken/'))
        ? new DialtoneError('image-corrupt', 'this is no image')
        : undefined,
  )
  world.guests = { resident: () => 'silent', run: () => 'silent', fileSystems: () => 'silent' }
  return {
    hypervisor: createFakeHypervisor({ world }),
    nextAgent: () => createFakeHypervisor({ world }),
    definition: async () => definition(),
    killFromOutside: (machine) => {
      for (const { pid, definition } of world.machines.values()) {
        if (pid === machine.pid) world.crash(definition.runDirectory, 'ended by SIGKILL')
      }
    },
    sibling: async (original, disks) => {
      count += 1
      return { ...original, disks, runDirectory: `/run/${count}`, cgroupDirectory: `/cgroup/${count}` }
    },
    overlayOn: async (path) => {
      count += 1
      return `${path}.${count}`
    },
    emptyDisk: async () => {
      count += 1
      return `/disks/${count}-empty.qcow2`
    },
    fillDisk: async (path) => void world.files.set(path, `what was written to ${path}`),
    isSameDisk: async (one, other) => world.files.get(one) === world.files.get(other),
    newPath: (name) => {
      count += 1
      return `/files/${count}-${name}`
    },
    newDisc: async () => '/discs/empty.iso',
    brokenImage: async () => ({ memory: '/broken/memory', state: '/broken/state' }),
    brokenDefinitions: async () => new Map([['no such tap', { ...definition(), tapName: 'missing' }]]),
    isNothingLeft: async ({ runDirectory }) =>
      world.living(runDirectory) === undefined && !isWaiting(world, runDirectory),
    dispose: async () => undefined,
  }
}

function isWaiting(world: FakeWorld, runDirectory: string): boolean {
  const spare = world.spares.get(runDirectory)
  return spare !== undefined && spare.exit === undefined
}

hypervisorContract('fake', makeFixture)
memoryImageContract('fake', makeFixture)
movingMachineContract('fake', makeFixture)
diskMirrorContract('fake', makeFixture)
growthContract('fake', makeFixture)

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

test('one that has ended can be killed, whatever kept it before', async () => {
  const world = createFakeWorld()
  const machine = await createFakeHypervisor({ world }).start(sampleDefinition({ runDirectory: '/run/1' }))
  const inside = world.living('/run/1')
  assert.ok(inside)
  inside.isUnkillable = true
  world.crash('/run/1', 'it crashed')
  await machine.kill(10)
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

test('orders fail as the world says: a resume, a stream that breaks off, and a guest that refuses', async () => {
  const world = createFakeWorld()
  const hypervisor = createFakeHypervisor({ world })
  const image = { memory: '/images/memory', state: '/images/state' }
  const definition = sampleDefinition({ runDirectory: '/run/1' })
  const spare = await hypervisor.prepare(definition, image)
  const machine = await spare.takeOver(definition.life, '/cgroup/1')
  let failing = 'resume'
  world.failOrders(({ kind }) => (kind === failing ? new DialtoneError('hypervisor-failed', 'as told') : undefined))
  await assert.rejects(machine.resume(), { code: 'hypervisor-failed' })
  assert.equal(await machine.state(), 'paused')
  failing = 'write-stream'
  await machine.resume()
  const overlays = [{ volumeId: 'vol-root2345', path: '/disks/overlay' }]
  const { written } = await machine.capture({ overlays, streamPath: '/stream' })
  await assert.rejects(written, { code: 'hypervisor-failed' })
  assert.deepEqual(
    [await machine.state(), await machine.diskPaths()],
    ['running', new Map([['vol-root2345', '/disks/overlay']])],
  )
  assert.deepEqual(await machine.askResident({ do: 'hello' }, 10), { version: '1' })
})

test('a spare that dies is seen to be dead, and takes nothing over', async () => {
  const world = createFakeWorld()
  const definition = sampleDefinition({ runDirectory: '/run/1' })
  const spare = await createFakeHypervisor({ world }).prepare(definition, { memory: '/m', state: '/s' })
  world.crash('/run/1', 'ended by SIGKILL')
  assert.equal((await spare.exited).reason, 'crashed')
  await assert.rejects(spare.takeOver(definition.life, '/cgroup/1'), { code: 'hypervisor-failed' })
})
