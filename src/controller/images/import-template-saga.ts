/** Makes a template of a disk image from outside: brought here, looked at without trust, copied into a folder of its own, entered. */
import { mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Leader } from '../../engine/leader.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../../engine/tasks/saga.ts'
import { imageRoutes } from '../../model/api/image-routes.ts'
import {
  rootDiskFileName,
  type TemplateManifest,
  templateManifestFileName,
  templateVersionSchema,
  unknownSystem,
} from '../../model/template-manifest.ts'
import { enterTemplate } from '../templates/build-template-saga.ts'
import { bringSource } from './bring-source.ts'
import { convertDisk, inspectDisk } from './disk-image.ts'
import { hashOf } from './hash-of.ts'
import type { ImagePlaces } from './image-places.ts'
import { removeUpload } from './uploads.ts'

const journalSchema = z.object({
  wish: imageRoutes.importTemplate.body,
  /** Of the template as a whole: its name and the version that was asked for. */
  version: templateVersionSchema,
})
type Journal = z.infer<typeof journalSchema>

export function importTemplateSaga(leader: Leader, places: ImagePlaces): RunnableSaga {
  return defineSaga<Journal>({
    kind: 'template.import',
    journalSchema,
    pointOfNoReturn: 'enter',
    steps: [
      {
        name: 'take-in',
        message: 'takes the image in',
        timeoutMs: 12 * 3_600_000,
        run: (context) => takeIn(leader, places, context),
        undo: async ({ journal }) => {
          const { source } = journal.wish
          await rm(workFolder(places, journal), { recursive: true, force: true })
          await rm(join(places.templates, journal.version), { recursive: true, force: true })
          if (source.kind === 'upload') await removeUpload(places.uploads, source.upload)
        },
      },
      {
        name: 'enter',
        message: 'enters it',
        timeoutMs: 30_000,
        run: ({ journal }) => enterTemplate(leader, join(places.templates, journal.version)),
      },
    ],
  })
}

/** Begun anew, it begins from nothing but what was brought here. */
async function takeIn(
  leader: Leader,
  places: ImagePlaces,
  { journal, signal, progress }: StepContext<Journal>,
): Promise<void> {
  const { wish, version } = journal
  const folder = join(places.templates, version)
  // This import's own, from before a crash: the folder was free when it was asked for.
  if (await isTemplate(folder)) return
  const work = workFolder(places, journal)
  const [path, output] = [join(work, 'source'), join(work, 'template')]
  await mkdir(work, { recursive: true, mode: 0o700 })
  const onProgress = (fraction: number) => progress(fraction / 2, 'fetches it')
  await bringSource({ source: wish.source, uploads: places.uploads, path, signal, onProgress })
  progress(0.5, 'looks at it')
  const { format } = await inspectDisk(path, `the image of ${wish.name}`)
  progress(0.55, 'copies it')
  await rm(output, { recursive: true, force: true })
  await mkdir(output, { recursive: true })
  const disk = join(output, rootDiskFileName)
  await convertDisk({ path, format }, disk, signal)
  progress(0.9, 'adds it up')
  const manifest: TemplateManifest = {
    formatVersion: 1,
    name: wish.name,
    version,
    description: wish.description,
    builtAt: leader.clock.wallTime().toISOString(),
    files: { [rootDiskFileName]: await hashOf(disk) },
    os: wish.os,
    origin: 'image',
    minimumMemoryMiB: wish.minimumMemoryMiB,
    defaultMemoryMiB: Math.max(wish.defaultMemoryMiB, wish.minimumMemoryMiB),
    ...unknownSystem,
  }
  await writeFile(join(output, templateManifestFileName), `${JSON.stringify(manifest, null, 2)}\n`)
  await moveIntoPlace(output, folder)
  await rm(work, { recursive: true, force: true })
}

/** Beside where it is going to be, so that it appears by a rename. */
function workFolder({ templates }: ImagePlaces, { version }: Journal): string {
  return join(templates, `.import-${version}`)
}

/** A folder with a manifest is a whole one. */
export async function isTemplate(folder: string): Promise<boolean> {
  return stat(join(folder, templateManifestFileName)).then(
    () => true,
    () => false,
  )
}

async function moveIntoPlace(from: string, to: string): Promise<void> {
  for (const name of [rootDiskFileName, templateManifestFileName]) {
    await using file = await open(join(from, name), 'r')
    await file.sync()
  }
  await rename(from, to)
}
