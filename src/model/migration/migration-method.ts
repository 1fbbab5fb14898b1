/** How a machine is moved, and when its move has to be helped along or given up. Pure; asked by the agent that sends. */
import { type Accelerator, guestMemoryKiB } from '../hardware.ts'
import type { MigrationMethod } from './vm-migration.ts'

export type MethodFacts = {
  readonly accelerator: Accelerator
  readonly qemuVersion: string
  readonly memoryMiB: number
  /** Memory that it got while it runs. */
  readonly hasPluggedMemory: boolean
  /** Other memory whose changes would be missed under emulation: see `unloggedMemory`. */
  readonly unlogged?: string | undefined
}

/** Blocks of a multiple of this lose dirty pages under TCG before QEMU 9.0. */
const unsafeBlockKiB = 256

/** While it runs wherever that is safe. */
export function chooseMethod(facts: MethodFacts): { readonly method: MigrationMethod; readonly reason: string } {
  const { accelerator, qemuVersion, memoryMiB, hasPluggedMemory, unlogged } = facts
  if (accelerator === 'kvm') return { method: 'precopy', reason: 'the kernel logs what the guest changes' }
  if (Number(qemuVersion.split('.')[0]) >= 9)
    return { method: 'precopy', reason: `QEMU ${qemuVersion} logs what an emulated guest changes` }
  if (hasPluggedMemory)
    return { method: 'stop-and-copy', reason: 'changes of memory that was plugged in would be missed under emulation' }
  if (unlogged !== undefined)
    return { method: 'stop-and-copy', reason: `changes of ${unlogged} would be missed under emulation` }
  if (guestMemoryKiB(memoryMiB, accelerator) % unsafeBlockKiB === 0)
    return { method: 'stop-and-copy', reason: 'changes of a memory of this size would be missed under emulation' }
  return { method: 'precopy', reason: 'the size of its memory lets QEMU log every change under emulation' }
}

export type MoveProgress = {
  readonly elapsedMs: number
  /** Since the last byte left. */
  readonly stalledMs: number
  /** How often its memory was gone through, the pass under way included. */
  readonly passes: number
  /** What was left to send when this pass began. */
  readonly leftBytes: number
  /** The same of the pass before. */
  readonly leftBeforeBytes: number
  readonly bytesPerSecond: number
  readonly isStopped: boolean
}

export type MoveOptions = { readonly memoryMiB: number; readonly canPostCopy: boolean }

/** `stop`: it stands still for what is left. `post-copy`: it runs at its destination at once, and what is left follows it. */
export type MoveStep = 'go-on' | 'stop' | 'post-copy' | 'give-up'

/** By then the guest has had its chance: what changed in the first pass was sent in the second. */
const passesToJudgeBy = 3
const maximumPasses = 10
/** A pass that leaves more than this share of what the one before it left gets nowhere. */
const gettingNowhere = 0.75
const stalledAfterMs = 5_000
const leastFollowingBytesPerSecond = 16 * 2 ** 20
/** Standing still for longer than this is worse than to depend on two hosts, and to wait for page after page, for a while. */
const longestPauseMs = 2_000

/** A guest that changes its memory as fast as it is sent is not slowed down: it stands still for the rest, or is followed by it. */
export function nextStep(progress: MoveProgress, { memoryMiB, canPostCopy }: MoveOptions): MoveStep {
  if (progress.stalledMs >= stalledAfterMs || progress.elapsedMs >= longestMoveMs(memoryMiB)) return 'give-up'
  if (progress.isStopped || !isOutrun(progress, memoryMiB)) return 'go-on'
  const pauseMs = (progress.leftBytes / Math.max(1, progress.bytesPerSecond)) * 1000
  return canPostCopy && pauseMs > longestPauseMs ? 'post-copy' : 'stop'
}

function isOutrun({ passes, leftBytes, leftBeforeBytes, elapsedMs }: MoveProgress, memoryMiB: number): boolean {
  if (passes >= maximumPasses || elapsedMs >= longestLiveMs(memoryMiB)) return true
  return passes >= passesToJudgeBy && leftBytes > leftBeforeBytes * gettingNowhere
}

/**
 * How fast the rest of its memory may follow a machine that runs at its destination already: what it asks for comes over the same stream, and
 * would wait behind everything that is on its way unasked.
 */
export function followingBytesPerSecond(bytesPerSecond: number): number {
  return Math.max(leastFollowingBytesPerSecond, Math.round(bytesPerSecond / 2))
}

/** How long it may stand still at the end, as far as can be foreseen: as short as an idle guest allows, and longer for one that is busy. */
export function pauseLimitMs(passes: number): number {
  return passes <= 2 ? 30 : 100
}

/** After this a machine that is still not through is not sent while it runs any more. */
export function longestLiveMs(memoryMiB: number): number {
  return 2_000 + memoryMiB * 16
}

/** No move takes longer: it ends, or is undone. */
export function longestMoveMs(memoryMiB: number): number {
  return 4 * longestLiveMs(memoryMiB) + 30_000
}
