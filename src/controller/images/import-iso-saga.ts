/** Takes a disc into the library: brought here, looked at, put into a folder of its own, entered under its name. */
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { commitAndSee, type Leader, put } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../../engine/tasks/saga.ts'
import { imageRoutes } from '../../model/api/image-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { isoIdSchema } from '../../model/ids.ts'
import { type IsoManifest, type IsoSpec, isoFileName } from '../../model/iso.ts'
import { type TemplateFile, templateManifestFileName } from '../../model/template-manifest.ts'
import { bringSource } from './bring-source.ts'
import { hashOf } from './hash-of.ts'
import type { ImagePlaces } from './image-places.ts'
import { removeUpload } from './uploads.ts'

const journalSchema = z.object({
  wish: imageRoutes.importIso.body,
  isoId: isoIdSchema,
  file: z.object({ bytes: z.number(), sha256: z.string() }).optional(),
})
type Journal = z.infer<typeof journalSchema>

/** Where the descriptors of a disc begin, and how they are named (ECMA-119 and ECMA-167). */
const descriptorAt = 32_768
const descriptors = ['CD001', 'BEA01']
const maximumBytes = 64 * 2 ** 30

export function importIsoSaga(leader: Leader, places: ImagePlaces): RunnableSaga {
  return defineSaga<Journal>({
    kind: 'iso.import',
    journalSchema,
    pointOfNoReturn: 'enter',
    steps: [
      {
        name: 'take-in',
        message: 'takes the disc in',
        timeoutMs: 12 * 3_600_000,
        run: async (context) => ({ file: await takeIn(places, context) }),
        undo: async ({ journal }) => {
          const { source } = journal.wish
          await rm(join(places.isos, journal.isoId), { recursive: true, force: true })
          if (source.kind === 'upload') await removeUpload(places.uploads, source.upload)
        },
      },
      { name: 'enter', message: 'enters it', timeoutMs: 30_000, run: (context) => enter(leader, places, context) },
    ],
  })
}

async function takeIn(places: ImagePlaces, { journal, signal, progress }: StepContext<Journal>): Promise<TemplateFile> {
  const { wish, isoId } = journal
  const folder = join(places.isos, isoId)
  await mkdir(folder, { recursive: true })
  const path = join(folder, isoFileName)
  const draft = `${path}.part`
  const onProgress = (fraction: number) => progress(fraction * 0.8, 'fetches it')
  if (!(await isThere(path))) {
    await bringSource({ source: wish.source, uploads: places.uploads, path: draft, signal, onProgress })
    await refuseOther(draft, wish.name)
    await rename(draft, path)
  }
  progress(0.8, 'adds it up')
  const file = await hashOf(path)
  const manifest: IsoManifest = { formatVersion: 1, version: isoId, files: { [isoFileName]: file } }
  await writeFile(join(folder, templateManifestFileName), `${JSON.stringify(manifest, null, 2)}\n`)
  return file
}

async function refuseOther(path: string, name: string): Promise<void> {
  await using file = await open(path, 'r')
  const { size } = await file.stat()
  const head = Buffer.alloc(6)
  await file.read(head, 0, head.length, descriptorAt)
  const refuse = (why: string) => new DialtoneError('invalid-input', `${name} is not taken: ${why}`)
  if (!descriptors.includes(head.toString('latin1', 1))) throw refuse('it is no disc (neither ISO 9660 nor UDF)')
  if (size > maximumBytes) throw refuse(`a disc has at most ${maximumBytes} bytes`)
}

async function enter(leader: Leader, places: ImagePlaces, { journal, task }: StepContext<Journal>): Promise<void> {
  const { wish, isoId, file } = journal
  if (leader.index.state().isos.has(isoId)) return
  if (file === undefined) throw new DialtoneError('internal', 'the disc was not taken in')
  const iso: IsoSpec = {
    id: isoId,
    name: wish.name,
    ...file,
    importedAt: leader.clock.wallTime().toISOString(),
    directory: join(places.isos, isoId),
  }
  const claim = keys.nameClaim('iso', iso.name)
  const event = leader.events.write({
    kind: 'iso.entered',
    subject: iso.name,
    message: `${Math.ceil(iso.bytes / 2 ** 20)} MiB`,
    user: task.user,
  })
  const result = await commitAndSee(leader, {
    conditions: [{ key: claim, modRevision: 0 }],
    writes: [put(claim, isoId), put(keys.iso(isoId), iso), event],
  })
  if (result.kind === 'conflict') throw new DialtoneError('name-taken', `a disc named ${iso.name} exists`)
}

async function isThere(path: string): Promise<boolean> {
  return open(path, 'r').then(
    async (file) => {
      await file.close()
      return true
    },
    () => false,
  )
}
