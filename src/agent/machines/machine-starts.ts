/** The three ways in which a machine gets a process here: by booting, from its own memory, and from another one's as a clone. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { MemoryImageManifest } from '../../model/recovery/memory-image.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import { imageFor } from '../recovery/keep-image.ts'
import { bootDisksOf } from '../recovery/machine-shape.ts'
import { discardSpare, type PreparedSpare, type SpareWish } from '../recovery/spare-keeper.ts'
import { currentLayerOf } from '../recovery/take-instant.ts'
import { type Keeping, lifeOf, writeRecord } from './keeping.ts'
import { claimDisks, type LaunchRequest, launchMachine, launchSpare, sharedStoragesOf } from './launch-machine.ts'
import { removeTaps } from './machine-cards.ts'
import { tapNameOf } from './machine-names.ts'
import type { MachineRecord } from './machine-record.ts'

export type StartOutcome =
  /** Its vCPUs run. */
  | {
      readonly kind: 'running'
      readonly machine: RunningMachine
      readonly tookMs: number
      /** What the life before had to itself, to be tidied away when there is time. */
      readonly before: MachineRecord
    }
  /** Without a licence nothing runs; nothing of it is left. */
  | { readonly kind: 'no-licence' }
  /** `isOverruled`: by the leader, a newer order or a lost licence. Another way of starting would fail in the same way. */
  | { readonly kind: 'failed'; readonly why: string; readonly isOverruled: boolean }

/** `ordered`: it waits for the leader's word that its epoch is the owner's. `on-the-spot`: it goes on under the epoch that was confirmed. */
export type StartRight = 'ordered' | 'on-the-spot'

export type Start = (keeping: Keeping, right: StartRight) => Promise<StartOutcome>

export const boot: Start = async (keeping, right) => {
  const { ports, vmId, record: before } = keeping
  if (right === 'on-the-spot' && !isLicensed(keeping)) return { kind: 'no-licence' }
  // It begins as it is ordered, with all that had to wait for that.
  const machine = { ...before.machine, present: null }
  const isTaken = keeping.spare.tapName() === before.tapName
  const tapName = isTaken ? tapNameOf(machine.number, before.tapName.endsWith('b') ? 'a' : 'b') : before.tapName
  const describe = async () => {
    const layers = await Promise.all(
      bootDisksOf(machine).map(async (disk) => ({
        volumeId: disk.volumeId,
        layerId: disk.format === 'qcow2' ? await currentLayerOf(disk, ports) : null,
      })),
    )
    const process = await ports.records.makeProcessDirectory(vmId, suffixOf(keeping))
    return { machine, process, tapName, layers, startedBy: 'boot', imageId: null } as const
  }
  const start = (request: LaunchRequest) => launchMachine(request, ports)
  return launch(keeping, { right, before, describe, start, giveUp: async () => undefined })
}

/** From its newest memory image. `failed` when there is none that fits. */
export const resume: Start = async (keeping, right) => {
  if (right === 'on-the-spot' && !isLicensed(keeping)) return { kind: 'no-licence' }
  const wish = imageFor(keeping)
  if (wish === undefined) return failed('there is no memory image of it')
  const spare = await takeSpare(keeping, wish)
  if ('why' in spare) {
    keeping.image.note = `its image can't be resumed here: ${spare.why}`
    return failed(keeping.image.note)
  }
  return resumeSpare(keeping, right, spare)
}

/** From the memory of a snapshot, on fresh layers of the disks that it was with. */
export async function resumeFrom(
  keeping: Keeping,
  right: StartRight,
  image: MemoryImageManifest,
): Promise<StartOutcome> {
  const { machine, epoch, incarnation } = keeping.record
  const spare = await takeSpare(keeping, {
    ...{ machine, image, takenTap: undefined, life: { epoch, incarnation } },
    disks: image.disks,
  })
  return 'why' in spare ? failed(spare.why) : resumeSpare(keeping, right, spare)
}

/** From the memory that this process has. It is gone if that fails. */
export async function resumeSpare(keeping: Keeping, right: StartRight, spare: PreparedSpare): Promise<StartOutcome> {
  const { record: before } = keeping
  const describe = async (): Promise<Partial<MachineRecord>> => ({
    ...recordOf(spare),
    machine: { ...before.machine, present: spare.order.present },
    startedBy: 'resume',
    layers: spare.layers.map(({ disk, layerId }) => ({ volumeId: disk.volumeId, layerId })),
  })
  return launch(keeping, { right, before, describe, ...launchOf(keeping, spare, before) })
}

/** A machine of its own, from another one's memory. It is never booted instead: its disk still says that it is the other one. */
export const clone: Start = async (keeping, right) => {
  const { ports, record: before } = keeping
  const { machine } = before
  const origin = machine.clonedFrom
  if (origin === null) return failed('nothing says what it is cloned from')
  const images = await ports.storage(origin.storageId).listImages(origin.volumeId)
  const image = images.find(({ id }) => id === origin.imageId)
  if (image === undefined) return failed(`the image ${origin.imageId} that it is cloned from is gone`)
  const life = { epoch: before.epoch, incarnation: before.incarnation }
  // The process that waits has this machine's own disk open, so it is claimed before that.
  await claimDisks(machine, lifeOf(keeping), ports)
  const spare = await takeSpare(keeping, { machine, image, takenTap: undefined, life, origin })
  if ('why' in spare) return failed(spare.why)
  const describe = async (): Promise<Partial<MachineRecord>> => ({
    ...recordOf(spare),
    machine: { ...before.machine, present: spare.order.present },
    startedBy: 'clone',
    layers: [],
  })
  return launch(keeping, { right, before, describe, ...launchOf(keeping, spare, before) })
}

function failed(why: string): StartOutcome {
  return { kind: 'failed', why, isOverruled: false }
}

/** The newest order still wants this life. */
export function isWanted(keeping: Keeping, epoch: number): boolean {
  const { wanted, handedOverTo } = keeping.record
  return !keeping.isReleased && keeping.orderedEpoch === epoch && wanted === 'running' && handedOverTo === null
}

async function takeSpare(keeping: Keeping, wish: SpareWish): Promise<PreparedSpare | { readonly why: string }> {
  try {
    return await keeping.spare.take(wish)
  } catch (error) {
    keeping.ports.logger.warn('machine.not-resumable', { vmId: keeping.vmId, error })
    return { why: error instanceof Error ? error.message : String(error) }
  }
}

function recordOf({ process, tapName, image }: PreparedSpare): Pick<MachineRecord, 'process' | 'tapName' | 'imageId'> {
  return { process, tapName, imageId: image.id }
}

/** How a spare is launched, and what becomes of it when that fails. */
function launchOf(keeping: Keeping, spare: PreparedSpare, before: MachineRecord): Pick<LaunchPlan, 'start' | 'giveUp'> {
  let mayHaveRun = false
  const onRun = () => {
    mayHaveRun = true
  }
  return {
    start: (request) => launchSpare({ ...request, onRun }, spare, keeping.ports),
    async giveUp(error) {
      const isStillItsDisk = !mayHaveRun && codeOf(error) !== 'stale-epoch' && isLicensed(keeping)
      try {
        if (isStillItsDisk) await returnToLayers(keeping, spare, before)
      } finally {
        await discardSpare(spare, keeping.ports).catch(async (failure: unknown) => {
          await noteUnneeded(keeping, spare)
          throw failure
        })
      }
    },
  }
}

/** A storage that refuses at the moment is asked again when the machine serves. */
async function noteUnneeded(keeping: Keeping, { layers }: PreparedSpare): Promise<void> {
  const left = layers.map(({ disk, layerId }) => ({ volumeId: disk.volumeId, layerId }))
  await writeRecord(keeping, { unneededLayers: [...keeping.record.unneededLayers, ...left] })
}

/** Nothing of it ran: its disks are again what they were, and a boot that follows loses nothing. */
async function returnToLayers(keeping: Keeping, spare: PreparedSpare, before: MachineRecord): Promise<void> {
  const known = spare.layers.map(({ disk }) => ({
    disk,
    layer: before.layers.find(({ volumeId }) => volumeId === disk.volumeId),
  }))
  if (known.some(({ layer }) => layer === undefined)) return
  for (const { disk, layer } of known)
    if (layer !== undefined) await keeping.ports.storage(disk.storageId).useLayer(disk.volumeId, layer.layerId)
  await writeRecord(keeping, { layers: before.layers })
}

type LaunchPlan = {
  readonly right: StartRight
  /** As it was before this start. */
  readonly before: MachineRecord
  /** What is to be written down of this start. */
  describe(): Promise<Partial<MachineRecord>>
  start(request: LaunchRequest): Promise<RunningMachine>
  /** Removes what is left of it when it failed. */
  giveUp(error: unknown): Promise<void>
}

async function launch(keeping: Keeping, plan: LaunchPlan): Promise<StartOutcome> {
  const { vmId, ports } = keeping
  const { right, before } = plan
  const { epoch } = before
  const beganAtMs = ports.clock.bootTimeMs()
  try {
    const writtenDown = writeRecord(keeping, await plan.describe())
    // Whoever waits for it hears of its failure; a start that fails before that doesn't.
    writtenDown.catch(() => undefined)
    const { machine, tapName, process } = keeping.record
    const running = await plan.start({
      machine,
      life: lifeOf(keeping),
      needsConfirmation: right === 'ordered',
      tapName,
      process,
      writtenDown,
      isCancelled: () => !isWanted(keeping, epoch),
      onRun: () => undefined,
    })
    keeping.running = running
    return { kind: 'running', machine: running, tookMs: ports.clock.bootTimeMs() - beganAtMs, before }
  } catch (error) {
    const noteFailure = (failure: unknown) =>
      ports.logger.warn('machine.start-not-tidied', { vmId, epoch, error: failure })
    await plan.giveUp(error).catch(noteFailure)
    await tidyEarlierProcess(keeping, before).catch(noteFailure)
    const code = codeOf(error)
    if (code === 'licence-lost' && right === 'on-the-spot') return { kind: 'no-licence' }
    ports.logger.warn('machine.start-failed', { vmId, epoch, error })
    const isOverruled = code === 'stale-epoch' || code === 'licence-lost' || code === 'cancelled'
    return { kind: 'failed', why: error instanceof Error ? error.message : String(error), isOverruled }
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof DialtoneError ? error.code : undefined
}

/** Removes what the life before had to itself. */
export async function tidyEarlierProcess({ ports, record }: Keeping, before: MachineRecord): Promise<void> {
  if (before.tapName !== record.tapName) await removeTaps(before.machine, before.tapName, ports)
  if (before.process !== record.process) await ports.records.removeProcessDirectory(before.process)
}

function isLicensed({ record: { machine }, ports }: Keeping): boolean {
  return !machine.leased || ports.licences.isLicensed(sharedStoragesOf(machine, ports), ports.clock.bootTimeMs())
}

function suffixOf({ ports }: Keeping): string {
  return Buffer.from(ports.randomBytes(4)).toString('hex')
}
