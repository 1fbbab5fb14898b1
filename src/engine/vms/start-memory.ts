/** What this leader remembers about starts: failures in a row, orders that were accepted, proofs that were given, whose turn it is. */

import type { SessionId, VmId } from '../../model/ids.ts'
import type { Proof } from '../../model/proof.ts'
import type { MachineReport, VmPlacement } from '../../model/vm.ts'

/** A start that takes longer than this no longer keeps machines of a higher start order waiting. */
const turnLastsMs = 30_000
/** An order that showed no effect for this long is given again. */
const orderLastsMs = 3_000

export type StartMemory = {
  /** Counts a failed start once an epoch; a machine that runs is forgiven. */
  note(vmId: VmId, report: MachineReport | undefined, nowMs: number): void
  failures(vmId: VmId, nowMs: number): { readonly count: number; readonly lastAgoMs: number }
  /** The agent accepted the start of this epoch, or said that it is void there. `atSequence`: its newest heartbeat at that moment. */
  orderAnswered(
    vmId: VmId,
    order: { readonly session: SessionId; readonly epoch: number; readonly atSequence: number },
  ): void
  /** A report that doesn't have the machine counts only from the second heartbeat on: the first may have been on its way already. */
  startOrder(vmId: VmId, placement: VmPlacement | undefined, sequence: number): 'not-given' | 'accepted' | 'spent'
  /** True when this very order was given within the last seconds: giving it at every look would press a power button fifty times. */
  wasJustGiven(vmId: VmId, order: string, nowMs: number): boolean
  released(vmId: VmId, epoch: number, proof: Proof): void
  proofOfRelease(vmId: VmId, epoch: number | undefined): Proof | undefined
  /** This machine is being started now; higher start orders wait for it. */
  takesTurn(vmId: VmId, startOrder: number, nowMs: number): void
  endsTurn(vmId: VmId): void
  startOrderDue(nowMs: number): number
  forget(vmId: VmId): void
}

export function createStartMemory(): StartMemory {
  const failures = new Map<VmId, { count: number; lastAtMs: number; epoch: number }>()
  const accepted = new Map<VmId, { readonly order: string; readonly atSequence: number }>()
  const given = new Map<VmId, { readonly order: string; readonly atMs: number }>()
  const proofs = new Map<VmId, { readonly epoch: number; readonly proof: Proof }>()
  const turns = new Map<VmId, { readonly startOrder: number; readonly sinceMs: number }>()

  return {
    note(vmId, report, nowMs) {
      if (report?.phase === 'running') failures.delete(vmId)
      if (report?.phase !== 'failed') return
      const before = failures.get(vmId)
      if (before?.epoch === report.epoch) return
      failures.set(vmId, { count: (before?.count ?? 0) + 1, lastAtMs: nowMs, epoch: report.epoch })
    },
    failures(vmId, nowMs) {
      const entry = failures.get(vmId)
      return entry === undefined
        ? { count: 0, lastAgoMs: Infinity }
        : { count: entry.count, lastAgoMs: nowMs - entry.lastAtMs }
    },
    orderAnswered: (vmId, { session, epoch, atSequence }) =>
      void accepted.set(vmId, { order: `${session}/${epoch}`, atSequence }),
    startOrder(vmId, placement, sequence) {
      const entry = accepted.get(vmId)
      if (entry === undefined || placement === undefined || entry.order !== `${placement.session}/${placement.epoch}`)
        return 'not-given'
      return sequence >= entry.atSequence + 2 ? 'spent' : 'accepted'
    },
    wasJustGiven(vmId, order, nowMs) {
      const entry = given.get(vmId)
      if (entry?.order === order && nowMs - entry.atMs < orderLastsMs) return true
      given.set(vmId, { order, atMs: nowMs })
      return false
    },
    released: (vmId, epoch, proof) => void proofs.set(vmId, { epoch, proof }),
    proofOfRelease(vmId, epoch) {
      const entry = proofs.get(vmId)
      return entry !== undefined && entry.epoch === epoch ? entry.proof : undefined
    },
    takesTurn(vmId, startOrder, nowMs) {
      if (!turns.has(vmId)) turns.set(vmId, { startOrder, sinceMs: nowMs })
    },
    endsTurn: (vmId) => void turns.delete(vmId),
    startOrderDue(nowMs) {
      const current = [...turns.values()].filter((turn) => nowMs - turn.sinceMs < turnLastsMs)
      return Math.min(Infinity, ...current.map((turn) => turn.startOrder))
    },
    forget(vmId) {
      for (const map of [failures, accepted, given, proofs, turns]) map.delete(vmId)
    },
  }
}
