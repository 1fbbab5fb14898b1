/** What every hypervisor promises of memory images and of the disks and programs of a running machine; called beside `hypervisorContract`. */
import assert from 'node:assert/strict'
import { on } from 'node:events'
import { describe } from 'node:test'
import type { MachineLife } from '../../model/machine-order.ts'
import { type HypervisorFixture, isDialtoneError, patienceMs, testWith, within } from './hypervisor.contract.ts'
import type { MachineDefinition, MemoryImageFiles, RunningMachine } from './hypervisor.ts'

const rootId = 'vol-root2345'
const dataId = 'vol-data2345'

export function memoryImageContract(name: string, makeFixture: () => Promise<HypervisorFixture>): void {
  const withFixture = testWith(makeFixture)

  describe(`${name}: the memory of a machine`, { concurrency: false }, () => {
    withFixture('is captured while it runs, and a spare goes on from that very instant', async (fixture) => {
      const { machine, definition } = await startTyping(fixture, 'x')
      const { image, overlay, frozen } = await captureImage(fixture, { machine, definition })
      assert.deepEqual(await machine.diskPaths(), new Map([[rootId, overlay]]))
      assert.equal(await machine.state(), 'running')
      assert.equal(await type(machine, 'y'), 'y')

      const { resumed, shape, life } = await takeOver(fixture, { definition, frozen, image })
      assert.deepEqual([resumed.life, await resumed.state()], [life, 'paused'])
      await resumed.resume()
      assert.equal(await type(resumed, '?'), 'x')
      assert.equal(await type(machine, '?'), 'y')
      const adopted = await fixture.nextAgent().adopt(shape.runDirectory, shape.cgroupDirectory)
      assert.deepEqual([adopted?.life, adopted?.pid, await adopted?.state()], [life, resumed.pid, 'running'])
      await machine.kill(patienceMs)
      await adopted?.kill(patienceMs)
      await within(resumed.exited)
      assert.equal(await fixture.isNothingLeft(shape), true)
    })

    withFixture('is captured again, also of a machine that was resumed from an image', async (fixture) => {
      const { machine, definition } = await startTyping(fixture, 'x')
      const { image, frozen } = await captureImage(fixture, { machine, definition })
      await machine.kill(patienceMs)
      const { resumed, shape } = await takeOver(fixture, { definition, frozen, image })
      await resumed.resume()
      assert.equal(await type(resumed, 'z'), 'z')
      await freeze(fixture, resumed)
      const third = await captureImage(fixture, { machine: resumed, definition: shape })
      await resumed.kill(patienceMs)
      const next = await takeOver(fixture, { definition: shape, frozen: third.frozen, image: third.image })
      await next.resumed.resume()
      assert.equal(await type(next.resumed, '?'), 'z')
      await next.resumed.kill(patienceMs)
    })

    withFixture('is captured of a machine that stands still, which goes on standing still', async (fixture) => {
      const { machine, definition } = await startTyping(fixture, 'x')
      await machine.pause()
      const { capture } = await captureImage(fixture, { machine, definition })
      assert.deepEqual([await machine.state(), capture.pauseMs, capture.isLive], ['paused', 0, false])
      await machine.resume()
      assert.equal(await type(machine, '?'), 'x')
      await machine.kill(patienceMs)
    })

    withFixture('that cannot be captured stays as it was, and the machine runs on', async (fixture) => {
      const { machine, definition } = await startTyping(fixture, 'x')
      const overlays = [{ volumeId: rootId, path: fixture.newPath('absent.qcow2') }]
      const request = { overlays, streamPath: fixture.newPath('stream') }
      const before = await machine.diskPaths()
      await assert.rejects(machine.capture(request), isDialtoneError('hypervisor-failed'))
      assert.deepEqual([await machine.state(), await machine.diskPaths()], ['running', before])
      assert.equal(await type(machine, '?'), 'x')
      await captureImage(fixture, { machine, definition })
      await machine.kill(patienceMs)
    })

    withFixture('that is no image is refused, and leaves nothing behind', async (fixture) => {
      const definition = await fixture.definition()
      const broken = await fixture.brokenImage()
      await assert.rejects(fixture.hypervisor.prepare(definition, broken), isDialtoneError('image-corrupt'))
      const into = { memory: fixture.newPath('memory'), state: fixture.newPath('state') }
      await assert.rejects(fixture.hypervisor.bake(definition, broken.state, into), isDialtoneError('image-corrupt'))
      assert.equal(await fixture.isNothingLeft(definition), true)
      const machine = await fixture.hypervisor.start(definition)
      await machine.kill(patienceMs)
    })

    withFixture('waits in a spare that is no machine yet, and that can be killed', async (fixture) => {
      const { machine, definition } = await startTyping(fixture, 'x')
      const { image, frozen } = await captureImage(fixture, { machine, definition })
      const disks = [{ volumeId: rootId, path: await fixture.overlayOn(frozen), format: 'qcow2' as const }]
      const shape = await fixture.sibling(definition, disks)
      const spare = await fixture.hypervisor.prepare(shape, image)
      await spare.kill(patienceMs)
      assert.equal((await within(spare.exited)).reason, 'killed')
      assert.equal(await fixture.isNothingLeft(shape), true)
      assert.equal(await fixture.nextAgent().adopt(shape.runDirectory, shape.cgroupDirectory), undefined)
      await machine.kill(patienceMs)
    })
  })

  describe(`${name}: a running machine`, { concurrency: false }, () => {
    withFixture('gets a disk and gives it back', async (fixture) => {
      const { machine } = await startTyping(fixture, 'x')
      const [data] = (await fixture.definition()).disks
      assert.ok(data)
      const disk = { ...data, volumeId: dataId }
      for (const round of ['plugged in', 'plugged in again', 'a second time']) {
        await machine.attachDisk(disk)
        await machine.attachDisk(disk)
        assert.equal((await machine.diskPaths()).get(dataId), disk.path, round)
        await machine.detachDisk(dataId)
        await machine.detachDisk(dataId)
        assert.equal((await machine.diskPaths()).has(dataId), false, round)
      }
      await machine.kill(patienceMs)
    })

    withFixture('has the layers between two captures merged while it runs', async (fixture) => {
      const { machine, definition } = await startTyping(fixture, 'x')
      const layers: string[] = []
      for (let round = 0; round < 3; round += 1) layers.push((await freeze(fixture, machine)).overlay)
      const [basePath, topPath] = [definition.disks[0]?.path, layers[1]]
      assert.ok(basePath && topPath)
      await machine.mergeLayers(rootId, { topPath, basePath })
      await machine.mergeLayers(rootId, { topPath, basePath })
      assert.deepEqual(await machine.diskPaths(), new Map([[rootId, layers[2]]]))
      const absent = fixture.newPath('absent.qcow2')
      await assert.rejects(machine.mergeLayers(rootId, { topPath: absent, basePath }), isDialtoneError('not-found'))
      assert.equal(await type(machine, '?'), 'x')
      await machine.kill(patienceMs)
    })

    withFixture('has the layers under what it writes merged into that, and goes on writing', async (fixture) => {
      const { machine, definition } = await startTyping(fixture, 'x')
      const overlays: string[] = []
      for (let round = 0; round < 2; round += 1) {
        const frozen = (await machine.diskPaths()).get(rootId)
        assert.ok(frozen)
        const path = await fixture.overlayOn(frozen)
        await machine.addOverlays([{ volumeId: rootId, path }])
        overlays.push(path)
      }
      const [basePath, topPath] = [definition.disks[0]?.path, overlays[1]]
      assert.ok(basePath && topPath)
      const fractions: number[] = []
      const watched = { bytesPerSecond: 2 ** 30, onProgress: (fraction: number) => void fractions.push(fraction) }
      await machine.mergeLayers(rootId, { topPath, basePath }, watched)
      assert.deepEqual(await machine.diskPaths(), new Map([[rootId, topPath]]))
      assert.ok(fractions.every((fraction) => fraction >= 0 && fraction <= 1))
      await machine.closeLeftLayers(rootId)
      assert.equal(await type(machine, '?'), 'x')
      await machine.kill(patienceMs)
    })

    withFixture('whose merge is called off has the layers that it had, and can be merged again', async (fixture) => {
      const { machine, definition } = await startTyping(fixture, 'x')
      const layers: string[] = []
      for (let round = 0; round < 2; round += 1) layers.push((await freeze(fixture, machine)).overlay)
      const [basePath, topPath] = [definition.disks[0]?.path, layers[1]]
      assert.ok(basePath && topPath)
      const controller = new AbortController()
      controller.abort()
      await machine
        .mergeLayers(rootId, { topPath, basePath }, { signal: controller.signal })
        .catch((error: unknown) => assert.ok(isDialtoneError('cancelled')(error)))
      await machine.mergeLayers(rootId, { topPath, basePath })
      assert.equal(await type(machine, '?'), 'x')
      await machine.kill(patienceMs)
    })

    withFixture('whose disks can’t all go to their overlays writes to none of them', async (fixture) => {
      const { machine } = await startTyping(fixture, 'x')
      const before = await machine.diskPaths()
      const absent = { volumeId: rootId, path: fixture.newPath('absent.qcow2') }
      await assert.rejects(machine.addOverlays([absent]), isDialtoneError('hypervisor-failed'))
      assert.deepEqual(await machine.diskPaths(), before)
      await assert.rejects(
        machine.withGuestFileSystems((ask) => ask('freeze', 100)),
        isDialtoneError('guest-silent'),
      )
      await machine.kill(patienceMs)
    })

    withFixture('whose guest has no agent is said to be silent', async (fixture) => {
      const { machine } = await startTyping(fixture, 'x')
      await assert.rejects(machine.askResident({ do: 'hello' }, 100), isDialtoneError('guest-silent'))
      await assert.rejects(machine.runInGuest(['/bin/true'], 100), isDialtoneError('guest-silent'))
      await machine.setLink(false)
      await machine.setLink(true)
      await machine.kill(patienceMs)
    })

    withFixture('has the shape of every machine with the same devices', async (fixture) => {
      const { hypervisor } = fixture
      const definition = await fixture.definition()
      const other = { ...(await fixture.sibling(definition, definition.disks)), name: 'other', vmId: 'vm-other234' }
      assert.equal(hypervisor.shapeOf(other), hypervisor.shapeOf(definition))
      const [disk] = definition.disks
      assert.ok(disk)
      const unlike: Partial<MachineDefinition>[] = [
        { cpus: 2 },
        { memoryMiB: 32 },
        { disks: [disk, { ...disk, volumeId: dataId }] },
        { hardware: { ...definition.hardware, machineType: 'pc-q35-7.1' } },
      ]
      const shapes = unlike.map((change) => hypervisor.shapeOf({ ...definition, ...change }))
      assert.equal(new Set([hypervisor.shapeOf(definition), ...shapes]).size, 5)
    })
  })
}

async function startTyping(
  fixture: HypervisorFixture,
  letter: string,
): Promise<{ machine: RunningMachine; definition: MachineDefinition }> {
  const definition = await fixture.definition()
  const machine = await fixture.hypervisor.start(definition)
  await machine.resume()
  assert.equal(await type(machine, letter), letter)
  return { machine, definition }
}

/**
 * What the guest answers to this byte, typed until it hears it. Its firmware, which may still have the word, says none of the letters that
 * are typed here.
 */
export async function type(machine: RunningMachine, letter: string): Promise<string> {
  const console = await machine.openConsole()
  const typing = setInterval(() => console.write(letter), 50)
  console.write(letter)
  try {
    for await (const [chunk] of on(console, 'data', { signal: AbortSignal.timeout(patienceMs) })) {
      const answer = /[xyz]/.exec(String(chunk))?.[0]
      if (answer !== undefined) return answer
    }
    return assert.fail('the console ended')
  } finally {
    clearInterval(typing)
    console.destroy()
  }
}

/** Captures, and waits for the stream. `frozen`: the layer of the instant. */
async function freeze(fixture: HypervisorFixture, machine: RunningMachine) {
  const frozen = (await machine.diskPaths()).get(rootId)
  assert.ok(frozen)
  const overlay = await fixture.overlayOn(frozen)
  const streamPath = fixture.newPath('stream')
  const capture = await machine.capture({ overlays: [{ volumeId: rootId, path: overlay }], streamPath })
  await within(capture.written)
  return { capture, frozen, overlay, streamPath }
}

async function captureImage(
  fixture: HypervisorFixture,
  { machine, definition }: { readonly machine: RunningMachine; readonly definition: MachineDefinition },
) {
  const { capture, frozen, overlay, streamPath } = await freeze(fixture, machine)
  const image = { memory: fixture.newPath('memory'), state: fixture.newPath('state') }
  const scratch = [{ volumeId: rootId, path: await fixture.overlayOn(frozen), format: 'qcow2' as const }]
  await fixture.hypervisor.bake(await fixture.sibling(definition, scratch), streamPath, image)
  return { capture, image, overlay, frozen }
}

/** In the next life of the machine, in a cgroup of its own. */
async function takeOver(
  fixture: HypervisorFixture,
  from: { readonly definition: MachineDefinition; readonly frozen: string; readonly image: MemoryImageFiles },
) {
  const disks = [{ volumeId: rootId, path: await fixture.overlayOn(from.frozen), format: 'qcow2' as const }]
  const spareShape = await fixture.sibling(from.definition, disks)
  const spare = await fixture.hypervisor.prepare(spareShape, from.image)
  const { cgroupDirectory } = await fixture.sibling(from.definition, disks)
  const life: MachineLife = { ...from.definition.life, incarnation: from.definition.life.incarnation + 1 }
  const resumed = await spare.takeOver(life, cgroupDirectory)
  return { resumed, life, shape: { ...spareShape, cgroupDirectory, life } }
}
