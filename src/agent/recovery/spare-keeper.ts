/**
 * The process that waits to take a machine over: started with the machine's own shape on its memory image, with layers of its own that
 * nobody else writes to. It holds none of the machine's volumes: those are claimed when it takes over.
 */

import { randomUUID } from 'node:crypto'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type ImageId, type LayerId, layerIdSchema, makeId, type VmId, type VolumeId } from '../../model/ids.ts'
import type { CloneOrigin, MachineLife, MachineOrder } from '../../model/machine-order.ts'
import { canGrowInto, presentOfImage } from '../../model/present-shape.ts'
import { describeMismatch, type MemoryImageManifest } from '../../model/recovery/memory-image.ts'
import type { AttachedDisk, MachineShape, PrepareOptions, SpareMachine } from '../hypervisor/hypervisor.ts'
import { prepareTaps, removeTaps } from '../machines/machine-cards.ts'
import { tapNameOf } from '../machines/machine-names.ts'
import type { MachinePorts } from '../machines/machine-ports.ts'
import { bootDisksOf, diskOf, openBootDisks, rootOf, shapeOf, splitPlugged, userIdOf } from './machine-shape.ts'
import type { SpareLayer } from './spare-layer.ts'

/** A process that is ready to take over, with all that goes with it. */
export type PreparedSpare = {
  readonly vmId: VmId
  /** What it was made for. */
  readonly order: MachineOrder
  readonly machine: SpareMachine
  readonly image: MemoryImageManifest
  readonly layers: readonly SpareLayer[]
  readonly tapName: string
  /** Name of its run directory. */
  readonly process: string
}

export type SpareState = 'none' | 'preparing' | 'ready'

export type SpareWish = {
  readonly machine: MachineOrder
  readonly image: MemoryImageManifest
  /** The tap that the machine itself has here, if it runs here. */
  readonly takenTap: string | undefined
  readonly life: Pick<MachineLife, 'epoch' | 'incarnation'>
  /** Where the image lies, when it is another machine's: then each disk is a fresh one on what was published of that image. */
  readonly origin?: CloneOrigin
  /** The disks of the instant, where they are more than the image's own: those of a snapshot. */
  readonly disks?: readonly { readonly volumeId: VolumeId; readonly layerId: LayerId | null }[]
}

export type SpareKeeper = {
  state(): SpareState
  /** Why there is none; empty when there is one, or none is wanted. */
  note(): string
  /** The image of the spare that is ready or being prepared. */
  image(): MemoryImageManifest | undefined
  /** The tap that it holds, or will. */
  tapName(): string | undefined
  /** Keeps one on this image from now on, prepared in the background. */
  keep(wish: SpareWish): void
  /** Gives the spare out of hand, or makes one now. Throws `image-unfit`, `image-corrupt`, `cache-full` or what the drivers throw. */
  take(wish: SpareWish): Promise<PreparedSpare>
  /** Keeps none any more; resolves when nothing of it is left. */
  drop(): Promise<void>
}

const endWithinMs = 5_000
/** A spare runs for so long before it waits, unheard: its code is translated then, which is most of the time to its first answer. */
const warmUpMs = 300
/** Meanwhile its service is asked so often, over the guest's loopback. */
const warmUpQuestions = 30
const retryMs = 2_000
/** What could not be made is tried again after this time. */
const remakeMs = 30_000

type State = {
  wish: SpareWish | undefined
  ready: PreparedSpare | undefined
  preparing: Promise<void> | undefined
  note: string
  /** Everything that changes goes one after the other. */
  queue: Promise<unknown>
}

export function createSpareKeeper(ports: MachinePorts, onChange: () => void): SpareKeeper {
  const state: State = { wish: undefined, ready: undefined, preparing: undefined, note: '', queue: Promise.resolve() }
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = state.queue.then(work, work)
    state.queue = result.catch(() => undefined)
    return result
  }
  const clear = async () => {
    const { ready } = state
    state.ready = undefined
    if (ready !== undefined) await endSpare(ready, ports)
  }
  const prepare = () =>
    inTurn(async () => {
      const { wish } = state
      if (wish === undefined || state.ready?.image.id === wish.image.id) return
      await clear()
      try {
        const spare = await makeSpare(wish, ports)
        state.ready = spare
        state.note = ''
        void spare.machine.exited.then((exit) => {
          if (state.ready !== spare) return
          state.note = `its spare process ended (${exit.detail}); another one is prepared`
          void prepareLater()
        })
      } catch (error) {
        state.note = error instanceof Error ? error.message : String(error)
        ports.logger.warn('spare.not-prepared', { vmId: wish.machine.vmId, error })
        void remakeLater(wish)
      }
      onChange()
    })
  const remakeLater = async (wish: SpareWish) => {
    await ports.clock.sleep(remakeMs)
    if (state.wish === wish) await prepare()
  }
  const prepareLater = async () => {
    await inTurn(clear)
    onChange()
    await ports.clock.sleep(retryMs)
    if (state.wish !== undefined) await prepare()
  }
  return {
    state: () => (state.ready !== undefined ? 'ready' : state.wish === undefined ? 'none' : 'preparing'),
    note: () => state.note,
    image: () => state.wish?.image,
    tapName: () => state.ready?.tapName ?? (state.wish === undefined ? undefined : tapFor(state.wish)),
    keep(wish) {
      state.wish = wish
      void prepare()
    },
    take(wish) {
      // At once, not in its turn: what is wished for from now on is another one.
      state.wish = undefined
      return inTurn(async () => {
        const { ready } = state
        state.ready = undefined
        if (ready?.image.id === wish.image.id && ready.tapName !== wish.takenTap) return ready
        if (ready !== undefined) await endSpare(ready, ports)
        return makeSpare(wish, ports)
      })
    },
    drop() {
      state.wish = undefined
      state.note = ''
      return inTurn(clear)
    },
  }
}

/** Ends a spare that took over nothing, with all that was made for it. */
export async function discardSpare(spare: PreparedSpare, ports: MachinePorts): Promise<void> {
  await spare.machine.kill(endWithinMs)
  spare.machine.detach()
  await tidySpare(spare, ports)
}

/** The same; what can't be removed is written down, and doesn't hold up what comes next. */
async function endSpare(spare: PreparedSpare, ports: MachinePorts): Promise<void> {
  await discardSpare(spare, ports).catch((error: unknown) =>
    ports.logger.warn('spare.not-tidied', { vmId: spare.vmId, error }),
  )
}

async function tidySpare(
  { order, layers, tapName, process }: Pick<PreparedSpare, 'order' | 'layers' | 'tapName' | 'process'>,
  ports: MachinePorts,
): Promise<void> {
  await ports.cgroups.endSpare(order.vmId, endWithinMs)
  const removals = [
    removeTaps(order, tapName, ports),
    ...layers.map(async ({ disk, layerId }) => ports.storage(disk.storageId).removeLayer(disk.volumeId, layerId)),
  ]
  await Promise.allSettled(removals)
  // What could not be removed stays written down in the folder: the next agent removes it.
  await Promise.all(removals)
  await ports.records.removeProcessDirectory(process)
}

/** Of the machine's two taps the one that it doesn't have itself. */
function tapFor({ machine, takenTap }: SpareWish): string {
  const usual = tapNameOf(machine.number, 'b')
  return takenTap === usual ? tapNameOf(machine.number, 'a') : usual
}

async function makeSpare(wish: SpareWish, ports: MachinePorts): Promise<PreparedSpare> {
  const { image, life } = wish
  // What it goes on as is what it was at that instant; what it has got since comes when it runs.
  const machine = { ...wish.machine, present: presentOfImage(image, wish.machine) }
  const { vmId } = machine
  // A recovery gives its owner what is wanted, if need be by a boot; a return to a snapshot, what was.
  if (wish.origin === undefined && wish.disks === undefined && !canGrowInto(machine.present, machine))
    throw new DialtoneError('image-unfit', `the image of ${machine.name} is of another size, which only a boot changes`)
  const { storageId, volumeId } = wish.origin ?? rootOf(machine)
  const cached = await ports.images.ensure({ storage: ports.storage(storageId), volumeId, imageId: image.id })
  const tapName = tapFor(wish)
  const process = await ports.records.makeProcessDirectory(vmId, Buffer.from(ports.randomBytes(4)).toString('hex'))
  const layers: SpareLayer[] = []
  try {
    // What an earlier one left in the cgroup would share its fate.
    await ports.cgroups.endSpare(vmId, endWithinMs)
    const cgroupDirectory = await ports.cgroups.makeSpare(vmId)
    if (wish.origin === undefined) layers.push(...layersFor(wish, ports))
    // Written down first: whoever finds the folder after a crash removes what may have been made.
    await ports.records.writeSpareLayers(process, layers)
    const disks =
      wish.origin === undefined ? await makeLayers(machine, layers, ports) : await openBootDisks(machine, ports)
    const runDirectory = ports.records.processDirectory(process)
    const shown = splitPlugged(
      disks.filter(
        ({ volumeId }) => wish.disks === undefined || image.disks.some((disk) => disk.volumeId === volumeId),
      ),
      image.plugged,
      image.ports,
    )
    const place = { ...shown, tapName, runDirectory, cgroupDirectory, generationId: randomUUID(), life }
    const shape = await shapeOf(machine, place, ports)
    await refuseMismatch(image, shape, ports)
    await prepareTaps(machine, tapName, ports)
    const prepared = await ports.hypervisor.prepare(
      shape,
      cached.files,
      wish.origin === undefined ? warmUpOf(machine) : {},
    )
    keepWhileItLives(image.id, prepared.exited, ports)
    return { vmId, order: machine, machine: prepared, image, layers, tapName, process }
  } catch (error) {
    await tidySpare({ order: machine, layers, tapName, process }, ports).catch((failure: unknown) =>
      ports.logger.warn('spare.not-tidied', { vmId, error: failure }),
    )
    throw error
  }
}

/** A clone runs at once; what waits has time to get its way to answer at hand. */
function warmUpOf({ probe }: MachineOrder): PrepareOptions {
  if (probe?.check.kind !== 'http') return { warmUpMs }
  const { port, path } = probe.check
  return { warmUpMs, warmUpRequest: { do: 'ask', port, path, times: warmUpQuestions } }
}

/** What a process has mapped is not to make room for others, also when the process has become the machine itself. */
export function keepWhileItLives(imageId: ImageId, exited: Promise<unknown>, { images }: MachinePorts): void {
  images.pin(imageId)
  void exited.then(() => images.unpin(imageId))
}

async function makeLayers(
  machine: MachineOrder,
  layers: readonly SpareLayer[],
  ports: MachinePorts,
): Promise<readonly AttachedDisk[]> {
  const cgroupDirectory = await ports.cgroups.makeForTools()
  const disks: AttachedDisk[] = []
  for (const { disk, layerId, on } of layers) {
    const request = { layerId, on, userId: userIdOf(machine), cgroupDirectory }
    const { path } = await ports.storage(disk.storageId).addLayer(disk.volumeId, request)
    disks.push({ volumeId: disk.volumeId, path, format: disk.format })
  }
  return disks
}

/** A new layer on each disk of the image, not made yet. */
function layersFor({ machine, image, disks }: SpareWish, ports: MachinePorts): PreparedSpare['layers'] {
  if (disks === undefined && image.disks.length !== bootDisksOf(machine).length)
    throw new DialtoneError('image-unfit', `${machine.name} has other disks than when its image was captured`)
  const wanted = disks ?? image.disks
  if (image.disks.some(({ volumeId }) => !wanted.some((disk) => disk.volumeId === volumeId)))
    throw new DialtoneError('image-unfit', `the image holds a disk that ${machine.name} no longer has`)
  return wanted.map(({ volumeId, layerId: on }) => {
    const disk = diskOf(machine, volumeId)
    if (disk === undefined)
      throw new DialtoneError('image-unfit', `the image holds a disk that ${machine.name} no longer has`)
    return { disk, on, layerId: makeId('layer', layerIdSchema, ports.randomBytes(8)) }
  })
}

async function refuseMismatch(image: MemoryImageManifest, shape: MachineShape, ports: MachinePorts): Promise<void> {
  const { cpus, memoryMiB } = shape
  const hardware = { ...shape.hardware, qemuVersion: (await ports.hypervisor.facts()).version }
  const mismatch = describeMismatch(image, { hardware, cpus, memoryMiB, shape: ports.hypervisor.shapeOf(shape) })
  if (mismatch !== undefined)
    throw new DialtoneError('image-unfit', `the image of ${shape.name} can't be resumed here: ${mismatch}`)
}
