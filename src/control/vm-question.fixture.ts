/** What a leader knows of a machine about which nothing is the matter: its host has reported, and nothing of it is there. */
import type { VmQuestion } from './vm-decision.ts'

export const calm: VmQuestion = {
  report: undefined,
  hostHasReported: true,
  startOrder: 'not-given',
  strays: [],
  claims: [],
  released: undefined,
  startsOnHold: undefined,
  failures: { count: 0, lastAgoMs: Infinity },
  startOrderDue: Infinity,
  epochFloor: 1,
}
