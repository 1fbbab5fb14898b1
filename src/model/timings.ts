/**
 * The times that the protection protocol counts with (docs/architecture.md, 4). One object, stored in the cluster, sent to every agent.
 * All in milliseconds, each counted on the holder's own boot-time clock; nobody compares clocks.
 */
import { z } from 'zod'

export const timingsSchema = z.object({
  /** How often an agent reports. */
  heartbeatMs: z.number().int().min(20),
  /** TTL: how long an acknowledgement lets a host run leased machines, from the moment the heartbeat was *sent*. */
  leaseMs: z.number().int().min(100),
  /** R: how long a pill-free read of a storage's slot lets its machines run, from the *start* of the read. */
  pillFreeMs: z.number().int().min(100),
  /** How often an agent reads its slots. */
  slotReadMs: z.number().int().min(20),
  /** W: the hardware watchdog resets the host when it was not petted for this long. */
  watchdogMs: z.number().int().min(50),
  /** How often the watchdog process looks at the licences and pets the hardware. */
  watchdogPetMs: z.number().int().min(10),
  /** K: worst time from the reset to the last process being gone. */
  killMs: z.number().int().min(0),
  /** D: drain of writes that were in flight when the last process died. */
  drainMs: z.number().int().min(0),
  /** Silence (while the leader itself was attentive) after which a host is suspect and a power fence is used. */
  suspectAfterMs: z.number().int().min(50),
  /** Silence after which the leader writes pills. */
  pillAfterMs: z.number().int().min(50),
  /** A watchdog kills an agent that made no progress for this long, so that its supervisor starts it anew. */
  agentStallMs: z.number().int().min(100),
  /** The leader fences nobody when more than this share of the hosts fell silent together: then it is rather the leader who is cut off. */
  maximumSilentShare: z.number().min(0).max(1),
})

export type Timings = z.infer<typeof timingsSchema>

/** Bound of a recovery by lease: 3000 + 500 + 250 + 250 = 4 s after the last acknowledged heartbeat. The pill runs beside it: 2000 + 1000 + 1000. */
export const defaultTimings: Timings = {
  heartbeatMs: 250,
  leaseMs: 3000,
  pillFreeMs: 1000,
  slotReadMs: 200,
  watchdogMs: 500,
  watchdogPetMs: 100,
  killMs: 250,
  drainMs: 250,
  suspectAfterMs: 800,
  pillAfterMs: 2000,
  agentStallMs: 6000,
  maximumSilentShare: 0.5,
}
