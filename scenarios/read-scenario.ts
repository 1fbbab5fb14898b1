/** A scenario's folder: what is in it, and what is wrong with it. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { parseSteps } from '../src/sim/scenario/parse-steps.ts'
import type { Scenario } from '../src/sim/scenario/run-scenario.ts'
import { formatTimelineLine, parseTimelineLine, type TimelineLine } from '../src/sim/scenario/timeline.ts'
import { worldConfigurationSchema } from '../src/sim/world/configuration.ts'

const folder = import.meta.dirname

/** `0101-host-loses-power`, in order. */
export async function listScenarios(): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  return entries
    .filter((entry) => entry.isDirectory() && /^\d{4}-/.test(entry.name))
    .map(({ name }) => name)
    .toSorted()
}

/** Throws with the file, and the line where there is one, that is wrong. */
export async function readScenario(name: string): Promise<Scenario> {
  const cluster = await readPart(name, 'cluster.json', (text) => worldConfigurationSchema.parse(JSON.parse(text)))
  const cast = {
    hosts: cluster.hosts.map((host) => host.name),
    storages: [...cluster.storages.map((storage) => storage.name), 'local'],
  }
  return { cluster, steps: await readPart(name, 'steps.txt', (text) => parseSteps(text, cast)) }
}

/** Undefined as long as none was accepted. */
export async function readExpectedTimeline(name: string): Promise<readonly TimelineLine[] | undefined> {
  const text = await readFile(join(folder, name, 'log.expect'), 'utf8').catch((error: unknown) => {
    if (z.object({ code: z.literal('ENOENT') }).safeParse(error).success) return undefined
    throw error
  })
  return text
    ?.split('\n')
    .filter((line) => line !== '')
    .map((line, index) => {
      const parsed = parseTimelineLine(line)
      if (parsed === undefined) throw new Error(`${name}/log.expect:${index + 1} is no line of a timeline: ${line}`)
      return parsed
    })
}

export async function acceptTimeline(name: string, timeline: readonly TimelineLine[]): Promise<void> {
  await writeFile(join(folder, name, 'log.expect'), `${timeline.map(formatTimelineLine).join('\n')}\n`)
}

export async function readPart<Part>(name: string, file: string, parse: (text: string) => Part): Promise<Part> {
  const text = await readFile(join(folder, name, file), 'utf8')
  try {
    return parse(text)
  } catch (error) {
    throw new Error(`scenarios/${name}/${file}: ${describe(error)}`, { cause: error })
  }
}

function describe(error: unknown): string {
  if (error instanceof z.ZodError) return z.prettifyError(error)
  return error instanceof Error ? error.message : String(error)
}
