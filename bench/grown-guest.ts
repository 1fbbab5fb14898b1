/** What an outside client sees of the hardware in a tiny guest, asked over and over: for machines that grow while they run. */
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'

export const growths = ['memory', 'cpu', 'disk'] as const
export type Growth = (typeof growths)[number]

/** What comes in each case, and what the guest had before. */
export const grown = { cpus: 2, memoryMiB: 384, diskMiB: 64, before: { cpus: 1, memoryMiB: 256 } } as const

const sizeSchema = z.looseObject({ cpus: z.number(), memoryMiB: z.number() })
const everyMs = 5
const withinMs = 60_000
/** The guest's kernel keeps some of what comes for itself. */
const slackMiB = 16

/** What the guest has before it grows: to be handed to `untilGuestHas`. */
export async function sizeOfGuest(address: string): Promise<z.infer<typeof sizeSchema>> {
  return sizeSchema.parse(await (await fetch(`http://${address}/`)).json())
}

/** Resolves with the moment (performance.now) at which the guest was first seen to have it. */
export async function untilGuestHas(
  address: string,
  growth: Growth,
  before: z.infer<typeof sizeSchema>,
): Promise<number> {
  const givesUpAtMs = performance.now() + withinMs
  while (performance.now() < givesUpAtMs) {
    if (await has(address, growth, before).catch(() => false)) return performance.now()
    await delay(everyMs)
  }
  throw new Error(`the guest at ${address} did not see the ${growth} within ${withinMs / 1000} s`)
}

async function has(address: string, growth: Growth, before: z.infer<typeof sizeSchema>): Promise<boolean> {
  if (growth === 'disk') return canWriteTo(address, '/dev/vdb')
  const now = await sizeOfGuest(address)
  if (growth === 'cpu') return now.cpus > before.cpus
  return now.memoryMiB >= before.memoryMiB + (grown.memoryMiB - grown.before.memoryMiB) - slackMiB
}

/** A writer that begins there is refused while there is no such disk; it ends again at once. */
async function canWriteTo(address: string, device: string): Promise<boolean> {
  const { ok } = await fetch(`http://${address}/stamp?device=${device}&everyMs=1000`, { method: 'POST' })
  if (ok) await fetch(`http://${address}/stamp`, { method: 'DELETE' })
  return ok
}
