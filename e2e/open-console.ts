/** A shell in a guest of the template `tiny`, over its serial line. */
import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { OpenLaboratory } from './open-laboratory.ts'

const loginWithinMs = 50_000

/** A shell on the machine's serial line, as soon as the guest lets somebody in. */
export async function openConsole({ api }: Pick<OpenLaboratory, 'api'>, vm: string) {
  const givesUpAtMs = performance.now() + loginWithinMs
  let line: Duplex | undefined
  while (line === undefined) {
    line = await api.upgrade('vmConsole', { params: { vm } }).catch(() => undefined)
    assert(performance.now() < givesUpAtMs, `${vm} has a console`)
    if (line === undefined) await delay(200)
  }
  const stream = line
  let heard = ''
  stream.on('data', (chunk: Buffer) => (heard += chunk.toString()))
  stream.on('error', () => undefined)
  const until = async (pattern: RegExp, timeoutMs: number) => {
    const untilMs = performance.now() + timeoutMs
    while (!pattern.test(heard) && performance.now() < untilMs) await delay(20)
    return pattern.test(heard)
  }
  const type = async (text: string, pattern: RegExp, timeoutMs: number) => {
    heard = ''
    stream.write(text)
    return until(pattern, timeoutMs)
  }
  // The line is there before the guest is ready to let anybody in.
  const isAsked = async () => (await type('\n', /login: $/, 500)) && (await type('root\n', /Password: /, 3_000))
  while (!(await isAsked())) assert(performance.now() < givesUpAtMs, `${vm} asks for the password: ${heard}`)
  assert(await type('tiny\n', /~ # /, 5_000), `${vm} lets us in: ${heard}`)
  return {
    /** What the command prints. */
    async run(command: string): Promise<string> {
      const isDone = await type(`${command}; echo do''ne\n`, /done\r?\n/, 20_000)
      assert(isDone, `${command} ends on ${vm}: ${heard}`)
      return heard
    },
    async [Symbol.asyncDispose]() {
      await type('exit\n', /login: $/, 3_000)
      stream.destroy()
    },
  }
}
