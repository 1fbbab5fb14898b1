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
  readonly passes: number
  readonly isStopped: boolean
}

/** `stop`: it changes its memory faster than it can be sent, so it stands still for what is left. */
export type MoveStep = 'go-on' | 'stop' | 'give-up'

const maximumPasses = 10
const stalledAfterMs = 5_000

export function nextStep(progress: MoveProgress, memoryMiB: number): MoveStep {
  if (progress.stalledMs >= stalledAfterMs || progress.elapsedMs >= longestMoveMs(memoryMiB)) return 'give-up'
  const isChased = progress.passes >= maximumPasses || progress.elapsedMs >= longestLiveMs(memoryMiB)
  return isChased && !progress.isStopped ? 'stop' : 'go-on'
}

/**
 * How long it may stand still at the end, as far as can be foreseen: as short as an idle guest allows, and longer for one that would be
 * chased in vain, and slowed down meanwhile.
 */
export function pauseLimitMs(passes: number): number {
  if (passes <= 2) return 30
  return passes <= 4 ? 100 : 300
}

/** After this a machine that is still not through stands still for the rest. */
export function longestLiveMs(memoryMiB: number): number {
  return 5_000 + memoryMiB * 40
}

/** No move takes longer: it ends, or is undone. */
export function longestMoveMs(memoryMiB: number): number {
  return 2 * longestLiveMs(memoryMiB) + 30_000
}
