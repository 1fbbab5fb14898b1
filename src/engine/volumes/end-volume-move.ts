/**
 * The two ends of the move of a volume. Back: its machine goes on with the disk that it has. Forward: it goes on with the other one. A
 * machine that is over, or runs under another epoch, opens what the store says, and nobody has to be asked.
 */
import { isAnswering } from '../../model/cluster-state.ts'
import { DialtoneError, type ErrorCode } from '../../model/dialtone-error.ts'
import type { TaskId, VolumeId } from '../../model/ids.ts'
import type { VolumeSpec } from '../../model/storage.ts'
import type { VolumeMove } from '../../model/volume-move.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { type OrderTarget, orderTarget } from '../order-target.ts'
import { keys } from '../state/keys.ts'
import { discard } from './discard-volume.ts'

type Tools = { readonly leader: Leader; readonly agents: AgentPort }
type EndOf = { readonly volumeId: VolumeId; readonly signal: AbortSignal }

const askAgainMs = 200
/** How often its agent may refuse, some fifths of a second apart, before the machine is left to the ordinary loops. */
const refusalsTaken = 10
const passing: readonly ErrorCode[] = ['host-unreachable', 'deadline-exceeded', 'session-void', 'not-leader']

export function volumeHead(leader: Leader, { hostId }: VolumeMove): OrderTarget {
  const host = leader.index.state().hosts.get(hostId)
  const target = orderTarget(leader, hostId)
  if (host === undefined || target === undefined || !isAnswering(host))
    throw new DialtoneError('host-unreachable', `${host?.spec.name ?? hostId} does not answer`)
  return target
}

/** Resolves when the machine goes on with the volume at its new storage, and the record is closed. Says what was done, if anything was left to be. */
export async function completeVolumeMove(
  { leader, agents }: Tools,
  { volumeId, signal, user }: EndOf & { readonly user: string },
): Promise<string | undefined> {
  const { switchVolume } = agents
  await untilHeard(leader, { volumeId, signal }, switchVolume)
  const { volume, names } = describe(leader, volumeId)
  if (volume?.move?.phase !== 'switched') return undefined
  const summary = `moved from ${names.from} to ${names.to}`
  const told = { kind: 'volume.moved', message: `${volumeId} ${summary}`, user }
  await close(leader, volumeId, { told, left: undefined })
  return summary
}

/** Undoes the move, or finishes it if the volume has changed already. */
export async function goBackWithVolume(
  { leader, agents }: Tools,
  { volumeId, taskId, signal }: EndOf & { readonly taskId: TaskId },
): Promise<void> {
  const { move } = leader.index.state().volumes.get(volumeId) ?? {}
  if (move?.taskId !== taskId) return
  if (move.phase === 'switched') {
    await completeVolumeMove({ leader, agents }, { volumeId, signal, user: 'dialtone' })
    return
  }
  await untilHeard(leader, { volumeId, signal }, agents.keepVolume)
  const { names } = describe(leader, volumeId)
  const told = { kind: 'volume.move-undone', message: `${volumeId} stays on ${names.from}` }
  await close(leader, volumeId, { told, left: 'it was copied there for a move that was undone' })
}

/** Until its agent has heard it, or the machine that the word is for is over. */
async function untilHeard(leader: Leader, { volumeId, signal }: EndOf, say: AgentPort['switchVolume']): Promise<void> {
  for (let refusals = 0; refusals < refusalsTaken; ) {
    signal.throwIfAborted()
    const volume = leader.index.state().volumes.get(volumeId)
    const move = volume?.move ?? null
    const placement = volume === undefined ? undefined : leader.index.state().vms.get(volume.vmId)?.placement
    if (volume === undefined || move === null || move.epoch === null) return
    if (placement?.hostId !== move.hostId || placement.epoch !== move.epoch) return
    // What was proven dead is started anew, as the store says.
    if (leader.index.state().hosts.get(move.hostId)?.status.proof !== null) return
    try {
      const { host, authority } = volumeHead(leader, move)
      await say(host, { vmId: volume.vmId, authority, epoch: move.epoch, volumeId, toStorageId: move.toStorageId })
      return
    } catch (error) {
      // Nothing of it is there.
      if (error instanceof DialtoneError && error.code === 'not-found') return
      leader.logger.warn('volume.move-not-ended', { volumeId, error })
      if (!(error instanceof DialtoneError) || !passing.includes(error.code)) refusals += 1
    }
    await leader.clock.sleep(askAgainMs, signal)
  }
}

type Closing = {
  readonly told: { readonly kind: string; readonly message: string; readonly user?: string }
  /** Why the copy is of no use; undefined: it is the volume. */
  readonly left: string | undefined
}

async function close(leader: Leader, volumeId: VolumeId, { told, left }: Closing): Promise<void> {
  const key = keys.volume(volumeId)
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const volume = leader.index.state().volumes.get(volumeId)
    const condition = unchanged(leader, key)
    const move = volume?.move ?? null
    if (volume === undefined || move === null) return
    const subject = leader.index.state().vms.get(volume.vmId)?.spec.name ?? volumeId
    const place = { volumeId, storageId: move.toStorageId }
    const result = await commitAndSee(leader, {
      conditions: [condition],
      writes: [
        put(key, { ...volume, move: null }),
        leader.events.write({ ...told, subject, vmId: volume.vmId }),
        ...(left === undefined ? [] : [discard(leader, place, left)]),
      ],
    })
    if (result.kind === 'committed') return
    await leader.clock.sleep(2)
  }
  throw new DialtoneError('conflict', 'the end of the move of a volume could not be written')
}

function describe(
  leader: Leader,
  volumeId: VolumeId,
): { readonly volume: VolumeSpec | undefined; readonly names: { readonly from: string; readonly to: string } } {
  const { volumes, storages } = leader.index.state()
  const volume = volumes.get(volumeId)
  const nameOf = (id: VolumeMove['toStorageId'] | undefined) => (id === undefined ? '' : (storages.get(id)?.name ?? id))
  return { volume, names: { from: nameOf(volume?.move?.fromStorageId), to: nameOf(volume?.move?.toStorageId) } }
}
