/** Asks a machine over HTTP as an outside client would: each time over a new connection, and only a correct answer counts. */
import { get } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'

const answerSchema = z.object({
  service: z.literal('tiny'),
  name: z.string(),
  bootId: z.string(),
  boots: z.number(),
  uptimeMs: z.number(),
  address: z.string(),
  mac: z.string(),
  machineId: z.string(),
  requests: z.number(),
  timeMs: z.number(),
  random: z.string(),
})
export type ProbeAnswer = z.infer<typeof answerSchema>

export type Probe = {
  readonly address: string
  /** The host name that a correct answer carries. */
  readonly name: string
}

const everyMs = 20
const answerWithinMs = 400

/** The first correct answer, and when it came (performance.now). Rejects after `deadlineMs`. */
export async function waitForAnswer(
  probe: Probe,
  options: { readonly deadlineMs: number; readonly isRight?: (answer: ProbeAnswer) => boolean },
): Promise<{ readonly answer: ProbeAnswer; readonly atMs: number }> {
  const givesUpAtMs = performance.now() + options.deadlineMs
  while (performance.now() < givesUpAtMs) {
    const answer = await ask(probe)
    if (answer !== undefined && (options.isRight?.(answer) ?? true)) return { answer, atMs: performance.now() }
    await delay(everyMs)
  }
  throw new Error(
    `${probe.name} did not answer at http://${probe.address}/ within ${Math.round(options.deadlineMs / 1000)} s`,
  )
}

/** One question; undefined when the answer is missing, late or not this machine's. */
export function ask({ address, name }: Probe, withinMs = answerWithinMs): Promise<ProbeAnswer | undefined> {
  return new Promise((resolve) => {
    const request = get({ host: address, port: 80, path: '/', agent: false, timeout: withinMs }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve(read(text, name)))
      response.on('error', () => resolve(undefined))
    })
    const late = setTimeout(() => request.destroy(), withinMs)
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(undefined))
    request.on('close', () => {
      clearTimeout(late)
      resolve(undefined)
    })
  })
}

function read(text: string, name: string): ProbeAnswer | undefined {
  try {
    const parsed = answerSchema.safeParse(JSON.parse(text))
    return parsed.success && parsed.data.name === name ? parsed.data : undefined
  } catch {
    return undefined
  }
}
