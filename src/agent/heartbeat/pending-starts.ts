/** Machines that stand paused until the leader, answering a heartbeat that was sent after the claim, says that their epoch is the owner's. */
import type { Acknowledgement, Heartbeat } from '../../model/agent-protocol/heartbeat.ts'
import type { Clock } from '../../model/clock.ts'
import type { VmId } from '../../model/ids.ts'

type PendingStart = { readonly vmId: VmId; readonly epoch: number }

export type PendingStarts = {
  /** True when confirmed, false when refused or not answered within `deadlineMs`. */
  wait(start: PendingStart, deadlineMs: number): Promise<boolean>
  /** What the next heartbeat has to carry. */
  list(): Heartbeat['pendingStarts']
  /** Takes in the answer to a heartbeat that carried `asked`. */
  answered(asked: Heartbeat['pendingStarts'], acknowledgement: Acknowledgement): void
}

export function createPendingStarts(clock: Clock): PendingStarts {
  const waiting = new Map<string, { readonly start: PendingStart; settle(isConfirmed: boolean): void }>()
  const keyOf = (start: PendingStart) => `${start.vmId}@${start.epoch}`

  return {
    async wait(start, deadlineMs) {
      const settled = new AbortController()
      const answer = new Promise<boolean>((resolve) => waiting.set(keyOf(start), { start, settle: resolve }))
      const isConfirmed = await Promise.race([answer, clock.sleep(deadlineMs, settled.signal).then(() => false)])
      settled.abort()
      waiting.delete(keyOf(start))
      return isConfirmed
    },
    list: () => [...waiting.values()].map(({ start }) => ({ ...start })),
    answered(asked, acknowledgement) {
      if (acknowledgement.verdict === 'hold') return
      const confirmed = new Set(
        acknowledgement.verdict === 'admitted' ? acknowledgement.confirmedStarts.map(keyOf) : [],
      )
      for (const start of asked) waiting.get(keyOf(start))?.settle(confirmed.has(keyOf(start)))
    },
  }
}
