/** What counts as a correct answer of a machine's service. The same check finds its readiness, its failures and the end of an outage. */
import { z } from 'zod'

const port = z.number().int().min(1).max(65535)

export const probeCheckSchema = z.discriminatedUnion('kind', [
  /** The port accepts a connection. */
  z.strictObject({ kind: z.literal('tcp'), port }),
  /** An HTTP GET gets this status and, where `body` is given, an answer that contains it within its first 64 KiB. */
  z.strictObject({
    kind: z.literal('http'),
    port,
    path: z
      .string()
      .regex(/^\/[\x21-\x7e]*$/, 'must be a path like /health')
      .max(300),
    status: z.number().int().min(100).max(599).default(200),
    body: z.string().max(300).optional(),
  }),
  /** A program in the guest, run by the guest agent, ends with 0. */
  z.strictObject({ kind: z.literal('exec'), command: z.array(z.string().max(300)).min(1).max(20) }),
])
export type ProbeCheck = z.infer<typeof probeCheckSchema>

export const probeSchema = z.strictObject({
  check: probeCheckSchema,
  /** Between the beginnings of two checks while all is well. After a failure they follow each other within 5 ms. */
  everyMs: z.number().int().min(50).max(60_000).default(250),
  /** A slower answer is a failure. */
  maxLatencyMs: z.number().int().min(10).max(60_000).default(2_000),
  /** So many failures in a row, and no other sign, make a failure of the service. */
  failuresAllowed: z.number().int().min(1).max(100).default(4),
})
export type Probe = z.infer<typeof probeSchema>
