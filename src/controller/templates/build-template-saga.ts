/** Builds a template in a process of its own (recipes/build-template.ts) and enters what came out. */
import { spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { commitAndSee, type Leader, put } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../../engine/tasks/saga.ts'
import { readQcow2Header } from '../../linux/qcow2-header.ts'
import type { TemplateSpec } from '../../model/cluster.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { makeId, nameSchema, templateIdSchema } from '../../model/ids.ts'
import { bootOf, templateManifestSchema } from '../../model/template-manifest.ts'

const journalSchema = z.object({ recipe: nameSchema, directory: z.string().optional() })
type Journal = z.infer<typeof journalSchema>

const progressSchema = z
  .object({ step: z.string(), fraction: z.number(), message: z.string() })
  .or(z.object({ directory: z.string() }))

const builder = join(import.meta.dirname, '../../../recipes/build-template.ts')

export function buildTemplateSaga(leader: Leader, templatesDirectory: string): RunnableSaga {
  return defineSaga<Journal>({
    kind: 'template.build',
    journalSchema,
    pointOfNoReturn: 'enter',
    steps: [
      {
        name: 'build',
        message: 'builds it',
        timeoutMs: 1_200_000,
        run: async (context) => ({ directory: await build(context, templatesDirectory) }),
      },
      {
        name: 'enter',
        message: 'enters it',
        timeoutMs: 30_000,
        run: ({ journal }) => enterTemplate(leader, journal.directory ?? ''),
      },
    ],
  })
}

async function build({ journal, progress, signal }: StepContext<Journal>, into: string): Promise<string> {
  const child = spawn(process.execPath, [builder, journal.recipe, '--into', into, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGTERM',
  })
  let directory: string | undefined
  let words = ''
  child.stderr.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-2000)))
  createInterface({ input: child.stdout }).on('line', (line) => {
    const parsed = progressSchema.safeParse(JSON.parse(line))
    if (!parsed.success) return
    if ('directory' in parsed.data) directory = parsed.data.directory
    else progress(parsed.data.fraction, parsed.data.message)
  })
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null))
    child.once('close', resolve)
  })
  if (signal.aborted) throw new DialtoneError('cancelled', 'the build was called off')
  if (code !== 0 || directory === undefined)
    throw new DialtoneError(
      'machine-setup',
      `the recipe ${journal.recipe} could not be built: ${words.trim() || `exit ${code}`}`,
    )
  return directory
}

/** Doing it again is fine: a version is entered once. */
export async function enterTemplate(leader: Leader, directory: string): Promise<void> {
  const text = await readFile(join(directory, 'manifest.json'), 'utf8')
  const manifest = templateManifestSchema.parse(JSON.parse(text))
  if ([...leader.index.state().templates.values()].some(({ version }) => version === manifest.version)) return
  const template: TemplateSpec = {
    id: makeId('tpl', templateIdSchema, leader.randomBytes(8)),
    name: manifest.name,
    version: manifest.version,
    description: manifest.description,
    kernelVersion: manifest.kernelVersion,
    commandLine: manifest.commandLine,
    commandLineTcg: manifest.commandLineTcg,
    minimumMemoryMiB: manifest.minimumMemoryMiB,
    defaultMemoryMiB: manifest.defaultMemoryMiB,
    defaultCpus: manifest.defaultCpus,
    rootDiskMiB: await virtualSizeMiB(join(directory, 'root.qcow2')),
    canResume: manifest.residentAgent && manifest.reseedsOnResume,
    boot: bootOf(manifest),
    os: manifest.os,
    guest: manifest.guest ?? null,
    ports: manifest.ports,
    origin: manifest.origin ?? 'recipe',
    madeFrom: manifest.madeFrom ?? null,
    readiness: manifest.readiness,
    warm: null,
    builtAt: manifest.builtAt,
    directory,
  }
  const event = leader.events.write({
    kind: 'template.entered',
    subject: template.name,
    message: `version ${template.version}`,
  })
  await commitAndSee(leader, {
    conditions: [{ key: keys.template(template.id), modRevision: 0 }],
    writes: [
      put(keys.template(template.id), template),
      // The same recipe has made the same anew.
      { kind: 'delete', key: keys.nameClaim('template-version', template.version) },
      event,
    ],
  })
}

async function virtualSizeMiB(path: string): Promise<number> {
  await using file = await open(path, 'r')
  const { virtualBytes } = await readQcow2Header(file, path)
  return Math.ceil(virtualBytes / 1_048_576)
}
