/**
 * Proofs that a machine is dead on a host (docs/architecture.md, 4.4). A machine is started elsewhere only with one of these, for every
 * host that may hold it; the proof is stored with the placement that it allowed.
 */
import { z } from 'zod'
import { hostIdSchema, sessionIdSchema, storageIdSchema } from './ids.ts'

const base = { hostId: hostIdSchema, hostName: z.string(), provedAt: z.iso.datetime() }

export const proofSchema = z.discriminatedUnion('kind', [
  /** The agent of this session answered that the machine is reaped and nothing up to this epoch will start. */
  z.object({ kind: z.literal('released'), ...base, session: sessionIdSchema, upToEpoch: z.number().int() }),
  /** The host reported a new boot id: everything of its earlier boots is dead. */
  z.object({ kind: z.literal('rebooted'), ...base, oldBootId: z.string(), newBootId: z.string() }),
  /** A fence agent switched the host off and the state was read back. */
  z.object({ kind: z.literal('power'), ...base, fenceAgent: z.string(), tookMs: z.number() }),
  /** The lease has run out on an armed host and every pill has stood long enough. */
  z.object({
    kind: z.literal('lease'),
    ...base,
    armed: z.enum(['hard', 'soft']),
    silentMs: z.number(),
    leaseBoundMs: z.number(),
    pills: z.array(z.object({ storageId: storageIdSchema, generation: z.number().int(), stoodMs: z.number() })),
  }),
  /** A person confirmed, with their name in the audit log, that the host is off. */
  z.object({ kind: z.literal('operator'), ...base, user: z.string() }),
])
export type Proof = z.infer<typeof proofSchema>

/** One sentence for people: what was proven, how, and after how long. */
export function describeProof(proof: Proof): string {
  switch (proof.kind) {
    case 'released':
      // It came back with nothing in its memory: it knows of no epoch at all.
      if (proof.upToEpoch === 0) return `${proof.hostName} came back and holds nothing of what ran there`
      return `${proof.hostName} answered that it is reaped and that nothing up to epoch ${proof.upToEpoch} will start there`
    case 'rebooted':
      return `${proof.hostName} has booted anew since (boot ${proof.newBootId.slice(0, 8)}), so everything older on it is dead`
    case 'power':
      return `${proof.fenceAgent} switched ${proof.hostName} off and read the state back, in ${Math.round(proof.tookMs)} ms`
    case 'lease':
      return `${proof.hostName} was silent for ${Math.round(proof.silentMs)} ms, longer than its lease, watchdog, kill and drain (${proof.leaseBoundMs} ms); it is ${proof.armed}-armed${
        proof.pills.length === 0
          ? ''
          : `, and its pill stood for ${Math.round(Math.min(...proof.pills.map((pill) => pill.stoodMs)))} ms`
      }`
    case 'operator':
      return `${proof.user} confirmed that ${proof.hostName} is off`
  }
}
