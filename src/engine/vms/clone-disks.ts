/**
 * The disks of a new machine that begin as another one's were at a snapshot. Linking them is a matter of milliseconds, while the task that
 * asked for the clone holds the other machine's disks; making them stand alone needs nothing of that machine any more.
 */
import { z } from 'zod'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { layerIdSchema, snapshotIdSchema, type VmId, vmIdSchema } from '../../model/ids.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { AgentPort, DiskLinks } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import { machineTarget } from '../order-target.ts'
import { untilAnswered } from '../snapshots/ask-again.ts'
import { closeDisks, requireVm } from '../snapshots/closed-disks.ts'
import type { VolumePlace } from '../volumes/discard-volume.ts'
import { authorityOf, hostForStorage } from './host-for-storage.ts'

export const diskOriginSchema = z.object({
  vmId: vmIdSchema,
  snapshotId: snapshotIdSchema,
  /** They share nothing with it in the end. */
  isFull: z.boolean(),
  /** What each disk is written to at first. */
  overlays: z.array(layerIdSchema).min(1),
})
export type DiskOrigin = z.infer<typeof diskOriginSchema>

const busyForMs = 60_000
const followMs = 500

type Following = { readonly signal: AbortSignal; progress(fraction: number, message?: string): void }
export type Cloning = Following & { readonly spec: VmSpec; readonly origin: DiskOrigin }

export async function cloneDisks(leader: Leader, agents: AgentPort, cloning: Cloning): Promise<void> {
  const { spec, origin, signal, progress } = cloning
  await linkLayers(leader, agents, { vmId: origin.vmId, order: linksOf(leader, spec, origin), signal, progress })
  if (!origin.isFull) return
  const count = spec.disks.length
  for (const [index, place] of spec.disks.entries())
    await untilAlone(leader, agents, {
      ...{ place, signal },
      progress: (fraction, message = `copies disk ${index + 1} of ${count}`) =>
        progress((index + fraction) / count, message),
    })
}

/** Volumes that begin with layers of this machine, whose disks the task that asks holds. Doing it again is fine. */
export async function linkLayers(
  leader: Leader,
  agents: AgentPort,
  { vmId, order, signal, progress }: Following & { readonly vmId: VmId; readonly order: DiskLinks },
): Promise<void> {
  const tell = (why: string) => progress(0, why)
  await untilAnswered(leader, { withinMs: busyForMs, signal, tell }, async () => {
    const source = requireVm(leader, vmId)
    const state = source.status?.state ?? 'stopped'
    if (state === 'running' || state === 'paused') {
      const { host, authority, placement } = machineTarget(leader, vmId)
      return agents.linkMachineDisks(host, { vmId, authority, epoch: placement.epoch, ...order })
    }
    if (source.operation?.needsClosed !== true)
      throw new DialtoneError('in-use', `${source.spec.name} is ${state}: its disks are neither open nor held closed`)
    const { host, order: closed } = await closeDisks(leader, agents, { vmId, overlays: [], signal })
    return agents.linkDisks(host, { vmId, authority: closed.authority, ...order })
  })
}

function linksOf(leader: Leader, spec: VmSpec, { snapshotId, overlays }: DiskOrigin): DiskLinks {
  const snapshot = leader.index.state().snapshots.get(snapshotId)
  if (snapshot === undefined) throw new DialtoneError('not-found', 'the snapshot that it is cloned from was deleted')
  const links = spec.disks.map(({ volumeId, storageId }, index) => {
    const [from, overlay] = [snapshot.disks[index], overlays[index]]
    if (from === undefined || overlay === undefined)
      throw new DialtoneError('internal', `${spec.name} has a disk that its snapshot does not have`)
    return { storageId, fromVolumeId: from.volumeId, layerId: from.layerId, volumeId, overlay }
  })
  return { number: spec.number, links, snapshotId }
}

/** Made to stand alone, in one layer that shares nothing. Doing it again is fine. */
export async function untilAlone(
  leader: Leader,
  agents: AgentPort,
  { place, signal, progress }: Following & { readonly place: VolumePlace },
): Promise<void> {
  const { volumeId, storageId } = place
  const tell = (why: string) => progress(0, why)
  for (;;) {
    signal.throwIfAborted()
    const report = await untilAnswered(leader, { withinMs: busyForMs, signal, tell }, async () => {
      const host = hostForStorage(leader, storageId, undefined)
      const authority = authorityOf(leader, host)
      return agents.flattenVolume(host.spec, { authority, volumeId, storageId, waitMs: followMs })
    })
    if (report.isDone) return
    progress(report.progress)
  }
}
