/**
 * One start of one machine, by booting or from a spare process, in the order that keeps its disks safe (docs/architecture.md, 4.1): claim
 * beside each disk → process, paused → word of the leader that the epoch is still the owner's (ordered starts only) → licence looked at
 * once more → vCPUs run.
 */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { StorageId } from '../../model/ids.ts'
import type { MachineDisk, MachineLife, MachineOrder } from '../../model/machine-order.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import { becomeClone } from '../recovery/become-clone.ts'
import { openBootDisks, openGuestState, shapeOf } from '../recovery/machine-shape.ts'
import type { PreparedSpare } from '../recovery/spare-keeper.ts'
import { connectCards, plugCards } from './machine-cards.ts'
import type { MachinePorts } from './machine-ports.ts'

export type LaunchRequest = {
  readonly machine: MachineOrder
  readonly life: MachineLife
  /** Ordered starts are confirmed by the leader; a restart on the spot is the agent's own right. */
  readonly needsConfirmation: boolean
  readonly tapName: string
  /** Name of the run directory of its process. */
  readonly process: string
  /** What has to be written down before its process is this machine; meanwhile the rest goes on. */
  readonly writtenDown: Promise<void>
  /** True once somebody wants this start no more. */
  isCancelled(): boolean
  /** Called before the first vCPU may run: until then nothing was written to its disks. */
  onRun(): void
}

/** Boots it and lets it run. On any failure nothing of it is left running, and the error says what to do. */
export async function launchMachine(request: LaunchRequest, ports: MachinePorts): Promise<RunningMachine> {
  const { machine, life } = request
  assertLicensed(machine, ports)
  await request.writtenDown
  await claimDisks(machine, life, ports)
  const disks = await openBootDisks(machine, ports)
  const cgroupDirectory = await ports.cgroups.make(machine.vmId)
  await guard(machine, cgroupDirectory, ports)
  await connectCards(machine, request.tapName, ports)
  const place = {
    disks,
    guestState: await openGuestState(machine, ports),
    tapName: request.tapName,
    runDirectory: ports.records.processDirectory(request.process),
    cgroupDirectory,
    generationId: machine.generationId,
    life,
  }
  const shape = await shapeOf(machine, place, ports)
  const running = await ports.hypervisor.start({ ...shape, life })
  return letRun(request, { running, go: () => running.resume() }, ports)
}

/**
 * Lets a spare take over: nothing is read and nothing is booted. What can be done at the same time is; all of it is done before a vCPU
 * runs. On any failure nothing of it is left running.
 */
export async function launchSpare(
  request: LaunchRequest,
  spare: PreparedSpare,
  ports: MachinePorts,
): Promise<RunningMachine> {
  const { machine, life } = request
  assertLicensed(machine, ports)
  const cgroupDirectory = await ports.cgroups.make(machine.vmId)
  const takeDisks = async () => {
    await claimDisks(machine, life, ports)
    await Promise.all(
      spare.layers.map(({ disk, layerId }) => ports.storage(disk.storageId).useLayer(disk.volumeId, layerId)),
    )
  }
  const plug = () => plugCards(machine, spare.tapName, ports)
  const isClone = machine.start === 'clone'
  const takenOver = spare.machine.takeOver(life, cgroupDirectory)
  await allDone([
    takenOver,
    request.writtenDown,
    takeDisks(),
    guard(machine, cgroupDirectory, ports),
    isClone ? Promise.resolve() : plug(),
  ]).catch(async (error: unknown) => {
    const taken = await takenOver.catch(() => undefined)
    await taken?.kill(ports.licences.timings().killMs + 5_000)
    throw error
  })
  const running = await takenOver
  return isClone
    ? letRun(request, { running, go: () => becomeClone(machine, { running, plug }, ports) }, ports)
    : letRun(request, { running, go: () => running.resume() }, ports)
}

/** The shared storages whose slots the machine's licence depends on. */
export function sharedStoragesOf(machine: MachineOrder, ports: Pick<MachinePorts, 'isShared'>): readonly StorageId[] {
  return [...new Set(machine.disks.map((disk) => disk.storageId))].filter((storageId) => ports.isShared(storageId))
}

async function letRun(
  request: LaunchRequest,
  { running, go }: { readonly running: RunningMachine; go(): Promise<void> },
  ports: MachinePorts,
): Promise<RunningMachine> {
  const { machine, life } = request
  try {
    if (request.needsConfirmation && !(await ports.confirmStart(life))) {
      throw new DialtoneError(
        'stale-epoch',
        `the leader did not confirm that epoch ${life.epoch} of ${machine.name} is the owner's`,
      )
    }
    assertLicensed(machine, ports)
    if (request.isCancelled()) throw new DialtoneError('cancelled', `the start of ${machine.name} was called off`)
    request.onRun()
    await go()
    return running
  } catch (error) {
    await running.kill(ports.licences.timings().killMs + 5_000)
    throw error
  }
}

/** Waits for all, also when one fails: what went on behind a failed start would switch the disk of the next one. */
async function allDone(works: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(works)
  await Promise.all(works)
}

export async function guard(machine: MachineOrder, cgroupDirectory: string, ports: MachinePorts): Promise<void> {
  if (!machine.leased) return
  const storageIds = sharedStoragesOf(machine, ports)
  await ports.licences.guard(machine.vmId, { storageIds, isFrozen: false, cgroupDirectory })
}

export function assertLicensed(machine: MachineOrder, ports: MachinePorts): void {
  if (!machine.leased) return
  if (ports.licences.isLicensed(sharedStoragesOf(machine, ports), ports.clock.bootTimeMs())) return
  throw new DialtoneError('licence-lost', `${ports.hostName} has no licence to run ${machine.name} at the moment`)
}

export async function claimDisks(machine: MachineOrder, life: MachineLife, ports: MachinePorts): Promise<void> {
  const claim = ({ storageId, volumeId }: MachineDisk) =>
    ports.storage(storageId).claimVolume(volumeId, { hostName: ports.hostName, life, bootId: ports.bootId })
  await Promise.all(machine.disks.map(claim))
}
