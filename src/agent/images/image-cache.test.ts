import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { DialtoneError, type ErrorCode } from '../../model/dialtone-error.ts'
import { templateManifestSchema } from '../../model/template-manifest.ts'
import { createImageCache } from './image-cache.ts'

const version = '3f9a1c'

test('a version is fetched once, whole and read-only, and is then here without any fetching', async (t) => {
  const { cache, origin, directory } = await makeWorld(t)
  const [first, second] = await Promise.all([cache.ensure(version), cache.ensure(version)])
  assert.equal(first, second)
  assert.equal(first.manifest.version, version)
  assert.deepEqual(origin.fetched.toSorted(), ['initrd.img', 'manifest.json', 'root.qcow2', 'vmlinux'])
  await cache.ensure(version)
  assert.equal(origin.fetched.length, 4)
  assert.deepEqual(await cache.list(), [version])
  assert.deepEqual(await readdir(directory), [version])
  const paths = cache.paths(version)
  assert.equal(await readFile(paths.rootDisk, 'utf8'), origin.files.get('root.qcow2'))
  assert.equal(await readFile(paths.manifestFile, 'utf8'), origin.files.get('manifest.json'))
  for (const path of Object.values(paths)) assert.equal((await stat(path)).mode & 0o777, 0o444)
})

test('a web stream serves as well as a generator', async (t) => {
  const { origin, directory } = await makeWorld(t)
  const fetchFile = async (_version: string, name: string) => new Blob([origin.files.get(name) ?? '']).stream()
  await createImageCache({
    manifestSchema: templateManifestSchema,
    directory,
    fetchFile,
  }).ensure(version)
})

const damages: readonly { what: string; file: string; damage: (content: string) => string; words: RegExp }[] = [
  {
    what: 'a cut file',
    file: 'root.qcow2',
    damage: (text) => text.slice(0, -5),
    words: /ended after \d+ of \d+ bytes/,
  },
  { what: 'an altered file', file: 'vmlinux', damage: (text) => text.replace('kernel', 'Kernel'), words: /altered/ },
  { what: 'a longer file', file: 'initrd.img', damage: (text) => `${text}!`, words: /longer than/ },
  {
    what: 'a manifest of another version',
    file: 'manifest.json',
    damage: (text) => text.replace(version, 'ffffff'),
    words: /that of ffffff/,
  },
  { what: 'a cut manifest', file: 'manifest.json', damage: (text) => text.slice(0, 40), words: /is not one/ },
  {
    what: 'a manifest that names a path',
    file: 'manifest.json',
    damage: (text) => text.replace('"vmlinux"', '"../vmlinux"'),
    words: /is not one/,
  },
]
for (const { what, file, damage, words } of damages) {
  test(`${what} is refused, nothing is left, and the next attempt may succeed`, async (t) => {
    const { cache, origin, directory } = await makeWorld(t)
    const whole = origin.files.get(file) ?? ''
    origin.files.set(file, damage(whole))
    await assert.rejects(cache.ensure(version), failsWith('image-corrupt', words))
    assert.deepEqual(await readdir(directory), [])
    origin.files.set(file, whole)
    await cache.ensure(version)
  })
}

test('an origin that fails in the middle, or stalls, leaves nothing', async (t) => {
  const { origin, directory } = await makeWorld(t)
  const broken = new DialtoneError('host-unreachable', 'the origin went away')
  const failing = createImageCache({
    manifestSchema: templateManifestSchema,
    directory,
    fetchFile: async (_version, name) => {
      if (name === 'manifest.json') return origin.fetchFile(version, name)
      throw broken
    },
  })
  await assert.rejects(failing.ensure(version), broken)
  const stalling = createImageCache({
    manifestSchema: templateManifestSchema,
    directory,
    stallTimeoutMs: 20,
    fetchFile: async (_version, name) => {
      if (name === 'manifest.json') return origin.fetchFile(version, name)
      return (async function* () {
        yield Buffer.from('some')
        await new Promise(() => undefined)
      })()
    },
  })
  await assert.rejects(stalling.ensure(version), failsWith('deadline-exceeded', /nothing came for 20 ms/))
  assert.deepEqual(await readdir(directory), [])
})

test('a version with a missing or cut file is fetched anew', async (t) => {
  const { cache, directory } = await makeWorld(t)
  await cache.ensure(version)
  await truncate(cache.paths(version).rootDisk, 3)
  await cache.ensure(version)
  await rm(cache.paths(version).initrd)
  await cache.ensure(version)
  assert.equal((await readdir(join(directory, version))).length, 4)
})

test('a removed version is gone, and removing it again is fine', async (t) => {
  const { cache, directory } = await makeWorld(t)
  await cache.ensure(version)
  await cache.remove(version)
  await cache.remove(version)
  assert.deepEqual(await cache.list(), [])
  assert.deepEqual(await readdir(directory), [])
})

test('a version is not removed while it is being fetched', async (t) => {
  const { cache } = await makeWorld(t)
  const ensured = cache.ensure(version)
  await assert.rejects(cache.remove(version), failsWith('in-use', /is being fetched/))
  await ensured
})

test('a version that is no version never becomes a path', async (t) => {
  const { cache, origin } = await makeWorld(t)
  for (const name of ['..', '../x', 'a/b', '', '.work-x', 'A']) {
    await assert.rejects(cache.ensure(name), failsWith('invalid-input', /is not a template version/))
    assert.throws(() => cache.paths(name), failsWith('invalid-input', /is not a template version/))
  }
  assert.deepEqual(origin.fetched, [])
})

test('a version for which no space is free is refused with the numbers', async (t) => {
  const { origin, directory } = await makeWorld(t)
  const cache = createImageCache({
    manifestSchema: templateManifestSchema,
    directory,
    fetchFile: origin.fetchFile,
    minimumFreeMiB: 1e9,
  })
  await assert.rejects(
    cache.ensure(version),
    failsWith('storage-failed', /needs 1000000001 MiB .* and \d+ MiB are free/),
  )
  assert.deepEqual(await readdir(directory), [])
})

test('a process killed in the middle of a download leaves no version, and its left-overs are cleared', async (t) => {
  const { cache, directory, origin } = await makeWorld(t)
  const program = `
    import { createImageCache } from ${JSON.stringify(join(import.meta.dirname, 'image-cache.ts'))}
    import { templateManifestSchema } from ${JSON.stringify(join(import.meta.dirname, '../../model/template-manifest.ts'))}
    const files = new Map(${JSON.stringify([...origin.files])})
    const fetchFile = async (version, name) => (async function* () {
      yield Buffer.from(files.get(name))
      if (name === 'root.qcow2') { console.log('half'); await new Promise(() => setInterval(() => {}, 1000)) }
    })()
    await createImageCache({
    manifestSchema: templateManifestSchema, directory: ${JSON.stringify(directory)}, fetchFile }).ensure(${JSON.stringify(version)})`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  await Promise.race([once(child.stdout, 'data'), exited])
  child.kill('SIGKILL')
  await exited
  assert.equal((await readdir(directory)).length, 1)
  assert.deepEqual(await cache.list(), [])
  await cache.ensure(version)
  assert.deepEqual(await readdir(directory), [version])
})

async function makeWorld(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-images-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const origin = makeOrigin()
  return {
    directory,
    origin,
    cache: createImageCache({
      manifestSchema: templateManifestSchema,
      directory,
      fetchFile: origin.fetchFile,
    }),
  }
}

/** A template's files, as a controller would serve them, in chunks. */
function makeOrigin() {
  const files = new Map([
    ['vmlinux', 'a kernel '.repeat(1000)],
    ['initrd.img', 'a first file system '.repeat(1000)],
    ['root.qcow2', 'a disk '.repeat(5000)],
  ])
  const sums = Array.from(files, ([name, text]) => [
    name,
    { bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') },
  ])
  files.set('manifest.json', JSON.stringify({ ...facts, version, files: Object.fromEntries(sums) }))
  const fetched: string[] = []
  const fetchFile = async (_version: string, name: string) => {
    fetched.push(name)
    return inChunks(files.get(name) ?? '')
  }
  return { files, fetched, fetchFile }
}

async function* inChunks(text: string): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += 4096) yield Buffer.from(text.slice(at, at + 4096))
}

const facts = {
  formatVersion: 1,
  name: 'tiny',
  description: 'A machine for tests.',
  builtAt: '2026-11-21T08:00:00.000Z',
  kernelVersion: '6.1.0',
  commandLine: 'console=ttyS0',
  commandLineTcg: 'console=ttyS0 lpj=1000',
  minimumMemoryMiB: 64,
  defaultMemoryMiB: 128,
  defaultCpus: 1,
  ports: [80],
  guestAgent: true,
  residentAgent: true,
  readiness: { kind: 'http', port: 80, path: '/health', status: 200, body: 'ok' },
  reseedsOnResume: true,
}

function failsWith(code: ErrorCode, words: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DialtoneError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, words)
    return true
  }
}
