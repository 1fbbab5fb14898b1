/**
 * One start of one machine, in the order that keeps its disks safe (docs/architecture.md, 4.1): claim beside each disk → process, paused →
 * word of the leader that the epoch is still the owner's (ordered starts only) → licence looked at once more → vCPUs run.
 */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { StorageId } from '../../model/ids.ts'
import type { MachineLife, MachineOrder } from '../../model/machine-order.ts'
import type { AttachedDisk, RunningMachine } from '../hypervisor/hypervisor.ts'
import { tapNameOf } from './machine-names.ts'
import type { MachinePorts } from './machine-ports.ts'

/** First user id of machines' processes; the machine's number is added. */
const firstUserId = 200_000

export type LaunchRequest = {
  readonly machine: MachineOrder
  readonly life: MachineLife
  /** Ordered starts are confirmed by the leader; a restart on the spot is the agent's own right. */
  readonly needsConfirmation: boolean
  /** True once somebody wants this start no more. */
  isCancelled(): boolean
}

/** Starts it and lets it run. On any failure nothing of it is left running, and the error says what to do. */
export async function launchMachine(request: LaunchRequest, ports: MachinePorts): Promise<RunningMachine> {
  const { machine, life } = request
  assertLicensed(request, ports)
  const disks = await openDisks(machine, life, ports)
  const cgroupDirectory = await ports.cgroups.make(machine.vmId)
  if (machine.leased) {
    await ports.licences.guard(machine.vmId, {
      storageIds: sharedStoragesOf(machine, ports),
      isFrozen: false,
      cgroupDirectory,
    })
  }
  await ports.network.connect(cardOf(machine))
  const running = await startPaused(request, { disks, cgroupDirectory }, ports)
  try {
    if (request.needsConfirmation && !(await ports.confirmStart(life))) {
      throw new DialtoneError(
        'stale-epoch',
        `the leader did not confirm that epoch ${life.epoch} of ${machine.name} is the owner's`,
      )
    }
    assertLicensed(request, ports)
    if (request.isCancelled()) throw new DialtoneError('cancelled', `the start of ${machine.name} was called off`)
    await running.resume()
    return running
  } catch (error) {
    await running.kill(ports.licences.timings().killMs + 5_000)
    throw error
  }
}

/** The shared storages whose slots the machine's licence depends on. */
export function sharedStoragesOf(machine: MachineOrder, ports: Pick<MachinePorts, 'isShared'>): readonly StorageId[] {
  return [...new Set(machine.disks.map((disk) => disk.storageId))].filter((storageId) => ports.isShared(storageId))
}

export function cardOf(machine: MachineOrder) {
  return {
    vmId: machine.vmId,
    hostName: machine.name,
    macAddress: machine.nic.macAddress,
    address: machine.nic.address,
    tapName: tapNameOf(machine.number),
  }
}

function assertLicensed({ machine }: LaunchRequest, ports: MachinePorts): void {
  if (!machine.leased) return
  if (ports.licences.isLicensed(sharedStoragesOf(machine, ports), ports.clock.bootTimeMs())) return
  throw new DialtoneError('licence-lost', `${ports.hostName} has no licence to run ${machine.name} at the moment`)
}

async function openDisks(
  machine: MachineOrder,
  life: MachineLife,
  ports: MachinePorts,
): Promise<readonly AttachedDisk[]> {
  const disks: AttachedDisk[] = []
  for (const disk of machine.disks) {
    const storage = ports.storage(disk.storageId)
    await storage.claimVolume(disk.volumeId, { hostName: ports.hostName, life })
    const { path } = await storage.openVolume(disk.volumeId, disk.format, firstUserId + machine.number)
    disks.push({ volumeId: disk.volumeId, path, format: disk.format })
  }
  return disks
}

async function startPaused(
  { machine, life }: LaunchRequest,
  prepared: { readonly disks: readonly AttachedDisk[]; readonly cgroupDirectory: string },
  ports: MachinePorts,
): Promise<RunningMachine> {
  const boot = await ports.bootFiles(machine)
  return ports.hypervisor.start({
    life,
    name: machine.name,
    hardware: machine.hardware,
    cpus: machine.cpus,
    memoryMiB: machine.memoryMiB,
    macAddress: machine.nic.macAddress,
    tapName: tapNameOf(machine.number),
    disks: prepared.disks,
    kernel: {
      vmlinux: boot.vmlinux,
      initrd: boot.initrd,
      commandLine: commandLineOf(machine, life, { base: boot.commandLine, hostName: ports.hostName }),
    },
    generationId: machine.generationId,
    userId: firstUserId + machine.number,
    runDirectory: ports.records.runDirectory(machine.vmId),
    cgroupDirectory: prepared.cgroupDirectory,
  })
}

function commandLineOf(
  machine: MachineOrder,
  life: MachineLife,
  from: { readonly base: string; readonly hostName: string },
): string {
  const extra = machine.extraCommandLine
    .replaceAll('{host}', from.hostName)
    .replaceAll('{epoch}', String(life.epoch))
    .replaceAll('{incarnation}', String(life.incarnation))
  return `${from.base} dialtone.name=${machine.name} ${extra}`.trim()
}
