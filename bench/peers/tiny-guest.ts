/** The guest of every peer: the same template that Dialtone runs, as it was built on this machine, and how it is asked. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { DialtoneError } from '../../src/model/dialtone-error.ts'
import { templateManifestFileName, templateManifestSchema } from '../../src/model/template-manifest.ts'
import { createOutsideClient, type HttpAnswer, type OutsideClient } from './outside-client.ts'

export type TinyGuest = {
  readonly vmlinux: string
  readonly initrd: string
  /** Read only: guests write to overlays of it. */
  readonly rootDisk: string
  /** For a processor that is emulated; the benches compare under TCG. */
  readonly commandLine: string
}

const fillWithinMs = 60_000

const answerSchema = z.object({
  service: z.literal('tiny'),
  name: z.string(),
  bootId: z.string(),
  uptimeMs: z.number(),
})

const loadSchema = z.object({ dirtiedPages: z.number() })
const loadCheckSchema = z.object({ ok: z.literal(true) })

export type TinyAnswer = z.infer<typeof answerSchema>

/** The newest tiny template below `home`. Throws `template-not-built` when there is none. */
export async function findTinyGuest(home: string): Promise<TinyGuest> {
  const templates = join(home, 'templates')
  const names = (await readdir(templates).catch(() => [])).filter((name) => /^tiny-[0-9a-f]+$/.test(name))
  const built = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(templates, name, templateManifestFileName), 'utf8').catch(() => 'null')
      const manifest = templateManifestSchema.safeParse(JSON.parse(text))
      return manifest.success ? [{ directory: join(templates, name), manifest: manifest.data }] : []
    }),
  )
  const newest = built
    .flat()
    .sort((one, other) => one.manifest.builtAt.localeCompare(other.manifest.builtAt))
    .at(-1)
  if (newest === undefined)
    throw new DialtoneError('template-not-built', `there is no template tiny below ${templates}`)
  const { directory, manifest } = newest
  return {
    vmlinux: join(directory, 'vmlinux'),
    initrd: join(directory, 'initrd.img'),
    rootDisk: join(directory, 'root.qcow2'),
    commandLine: manifest.commandLineTcg,
  }
}

/** What the guest of that name says of itself at `/`; undefined when it isn't a correct answer of that guest. */
export function readTinyAnswer({ status, body }: HttpAnswer, name: string): TinyAnswer | undefined {
  if (status !== 200) return undefined
  try {
    const answer = answerSchema.safeParse(JSON.parse(body))
    return answer.success && answer.data.name === name ? answer.data : undefined
  } catch {
    return undefined
  }
}

/** Asks that guest every 5 ms, from now on. */
export function createTinyClient({
  name,
  address,
}: {
  readonly name: string
  readonly address: string
}): OutsideClient {
  const isCorrect = (answer: HttpAnswer) => readTinyAnswer(answer, name) !== undefined
  return createOutsideClient({ address, port: 80, path: '/', everyMs: 5, isCorrect })
}

/**
 * Has the guest write that much of its memory with a pattern that is nowhere zero, checks it, and ends the writing. The guest's kernel
 * gets the memory back but leaves what is in it, so for the hypervisor it stays full. Throws when the guest has not so much to spare.
 */
export async function fillMemory(address: string, mib: number): Promise<void> {
  const load = `http://${address}/load`
  await askJson(`${load}?mib=${mib}&rate=0`, 'POST', loadSchema)
  const givesUpAtMs = performance.now() + fillWithinMs
  // The first page that is written again says that all were written once.
  while ((await askJson(load, 'GET', loadSchema)).dirtiedPages === 0) {
    if (performance.now() > givesUpAtMs)
      throw new DialtoneError('deadline-exceeded', `${address} did not fill ${mib} MiB of its memory`)
    await delay(100)
  }
  await askJson(`${load}/check`, 'GET', loadCheckSchema)
  await askJson(load, 'DELETE', loadSchema)
}

async function askJson<T>(url: string, method: string, schema: z.ZodType<T>): Promise<T> {
  const response = await fetch(url, { method, signal: AbortSignal.timeout(fillWithinMs) })
  const text = await response.text()
  if (!response.ok) throw new DialtoneError('guest-silent', `${method} ${url}: ${response.status} ${text.trim()}`)
  return schema.parse(JSON.parse(text))
}
