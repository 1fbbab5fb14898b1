/** What is asked of the hardware on its control socket, one JSON line each way. */
import { z } from 'zod'

export const hardwareRequestSchema = z.strictObject({
  action: z.enum(['on', 'off', 'reset', 'cut', 'heal', 'status']),
  /** Left out for the status of all hosts. */
  host: z.string().optional(),
  /** Who or what asks; goes into the journal. */
  cause: z.string().default('control socket'),
  /** `on` only: boots at once and answers when the host's first process runs. */
  skipSelfTest: z.boolean().default(false),
})
export type HardwareRequest = z.output<typeof hardwareRequestSchema>

/** `dying`: its processes are being killed. `self-test`: it boots after the post delay. `failed`: it could not be booted. */
export const hostPhaseSchema = z.enum(['off', 'dying', 'self-test', 'booting', 'running', 'failed'])
export type HostPhase = z.infer<typeof hostPhaseSchema>

export const hostPowerStatusSchema = z.object({
  host: z.string(),
  power: z.enum(['on', 'off']),
  phase: hostPhaseSchema,
  link: z.enum(['up', 'cut']),
  /** Timeout of the armed watchdog; null when it isn't armed. */
  armedMs: z.number().nullable(),
  /** Since it was last petted. */
  silentMs: z.number().nullable(),
  bootId: z.string().nullable(),
})
export type HostPowerStatus = z.infer<typeof hostPowerStatusSchema>

export const hardwareAnswerSchema = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), hosts: z.array(hostPowerStatusSchema) }),
  z.object({ ok: z.literal(false), message: z.string() }),
])
export type HardwareAnswer = z.infer<typeof hardwareAnswerSchema>
