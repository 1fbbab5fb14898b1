/** The template `blank`: an empty disk, for systems that are installed from a disc. It is there from the first start on. */
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../linux/run-command.ts'
import {
  blankTemplate,
  rootDiskFileName,
  type TemplateManifest,
  templateManifestFileName,
  unknownSystem,
} from '../../model/template-manifest.ts'
import { hashOf } from '../images/hash-of.ts'

const version = 'blank-1'

export async function ensureBlankTemplate(templatesDirectory: string): Promise<void> {
  const folder = join(templatesDirectory, version)
  if ((await stat(join(folder, templateManifestFileName)).catch(() => undefined)) !== undefined) return
  // Controllers of several laboratories may share the folder.
  const work = join(templatesDirectory, `.${version}-${process.pid}`)
  await rm(work, { recursive: true, force: true })
  await mkdir(work, { recursive: true })
  try {
    const disk = join(work, rootDiskFileName)
    await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', disk, '1M'], { timeoutMs: 30_000 })
    const manifest = { ...blank, files: { [rootDiskFileName]: await hashOf(disk) } }
    await writeFile(join(work, templateManifestFileName), `${JSON.stringify(manifest, null, 2)}\n`)
    await rename(work, folder).catch(async (error: unknown) => {
      if ((await stat(join(folder, templateManifestFileName)).catch(() => undefined)) === undefined) throw error
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

const blank: Omit<TemplateManifest, 'files'> = {
  formatVersion: 1,
  name: blankTemplate,
  version,
  description: 'An empty disk, for systems that are installed from a disc.',
  builtAt: '2026-01-01T00:00:00.000Z',
  os: 'other',
  minimumMemoryMiB: 16,
  defaultMemoryMiB: 1024,
  ...unknownSystem,
}
