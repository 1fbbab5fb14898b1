import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { readWholeTemplate, sumFiles } from './built-template.ts'
import { readRecipe } from './recipe.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'template-'))
  for (const name of ['vmlinux', 'initrd.img', 'root.qcow2']) await writeFile(join(directory, name), `I am ${name}`)
})
afterEach(() => rm(directory, { recursive: true }))

test('a folder without a manifest is no template', async () => {
  assert.equal(await readWholeTemplate(directory, 'sizes'), undefined)
})

test('a folder with all files as its manifest says is whole', async () => {
  await writeManifest()
  assert.equal((await readWholeTemplate(directory, 'sums'))?.version, '0123456789ab')
})

test('a shorter file is noticed by the quick check', async () => {
  await writeManifest()
  await writeFile(join(directory, 'vmlinux'), 'I')
  assert.equal(await readWholeTemplate(directory, 'sizes'), undefined)
})

test('a changed byte is noticed by the thorough check only', async () => {
  await writeManifest()
  const text = await readFile(join(directory, 'vmlinux'), 'utf8')
  await writeFile(join(directory, 'vmlinux'), text.replace('I', 'J'))
  assert.notEqual(await readWholeTemplate(directory, 'sizes'), undefined)
  assert.equal(await readWholeTemplate(directory, 'sums'), undefined)
})

test('the recipe that ships is right', async () => {
  const recipe = await readRecipe(join(import.meta.dirname, '../tiny'))
  assert.equal(recipe.name, 'tiny')
  assert.ok(recipe.minimumMemoryMiB <= recipe.defaultMemoryMiB)
})

async function writeManifest(): Promise<void> {
  const manifest = {
    formatVersion: 1,
    name: 'tiny',
    version: '0123456789ab',
    description: 'a machine',
    builtAt: '2026-01-02T03:04:05.000Z',
    files: await sumFiles(directory),
    kernelVersion: '6.1.0',
    commandLine: 'quiet',
    commandLineTcg: 'quiet',
    minimumMemoryMiB: 64,
    defaultMemoryMiB: 128,
    defaultCpus: 1,
    ports: [80],
    guestAgent: true,
    residentAgent: true,
    readiness: { kind: 'http', port: 80, path: '/health', status: 200, body: 'ok' },
    reseedsOnResume: true,
  }
  await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest))
}
