import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { runCommand } from '../../linux/run-command.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { ImageId } from '../../model/ids.ts'
import { failsWith, makeWorld, mib, one, three, two } from './image-store.fixture.ts'
import type { createMemoryImageCache } from './memory-image-cache.ts'

test('an image is fetched once, also by calls at the same time, and is then here without any copying', async (t) => {
  const { cache, store, directory } = await makeWorld(t)
  store.keep(one, { sizeMiB: 1 })
  const [first, second] = await Promise.all([cache.ensure(store.wish(one)), cache.ensure(store.wish(one))])
  assert.deepEqual(first, second)
  assert.equal(first.manifest.id, one)
  await cache.ensure(store.wish(one))
  assert.deepEqual(store.fetched, [one])
  assert.deepEqual(await cache.get(one), first)
  assert.equal(await sha256Of(first.files.memory), first.manifest.files.memory.sha256)
  assert.deepEqual(await readdir(directory), [one])
  for (const path of Object.values(first.files)) assert.equal((await stat(path)).mode & 0o777, 0o400)
})

test('an image is found again by the next life of the agent', async (t) => {
  const { cache, store, directory, restart } = await makeWorld(t)
  store.keep(one, { sizeMiB: 1 })
  const before = await cache.ensure(store.wish(one))
  await mkdir(join(directory, '.work-img-bbbbbbbb'))
  await mkdir(join(directory, 'lost+found'))
  const after = restart()
  assert.deepEqual(await after.get(one), before)
  assert.deepEqual((await readdir(directory)).toSorted(), [one, 'lost+found'])
})

test('a fetch that fails leaves nothing, and the next may succeed', async (t) => {
  const { cache, store, directory } = await makeWorld(t)
  const failure = new DialtoneError('image-corrupt', 'it was altered')
  store.keep(one, { sizeMiB: 1 })
  store.fail(failure)
  await assert.rejects(cache.ensure(store.wish(one)), failure)
  assert.deepEqual(await readdir(directory), [])
  store.fail(undefined)
  await cache.ensure(store.wish(one))
})

test('room is made by the image that was not used for the longest time', async (t) => {
  const { cache, store } = await makeWorld(t, { budgetMiB: 10 })
  for (const imageId of [one, two, three]) store.keep(imageId, { sizeMiB: 4 })
  await cache.ensure(store.wish(one))
  await cache.ensure(store.wish(two))
  await cache.get(one)
  await cache.ensure(store.wish(three))
  assert.deepEqual(await idsIn(cache), [one, three])
})

test('a pinned image is never removed to make room, and removed only by force', async (t) => {
  const { cache, store, directory } = await makeWorld(t, { budgetMiB: 10 })
  for (const imageId of [one, two, three]) store.keep(imageId, { sizeMiB: 4 })
  await cache.ensure(store.wish(one))
  cache.pin(one)
  cache.pin(one)
  await cache.ensure(store.wish(two))
  await cache.ensure(store.wish(three))
  assert.deepEqual(await idsIn(cache), [one, three])
  cache.pin(three)
  const words =
    /4 MiB are wanted; of a budget of 10 MiB, 9 MiB are taken, 9 MiB of them by images in use; \d+ MiB are free/
  await assert.rejects(cache.ensure({ ...store.wish(two), sizeMiB: 4 }), failsWith('cache-full', words))
  await assert.rejects(cache.remove(one), failsWith('in-use', /img-aaaaaaaa is in use/))
  cache.unpin(one)
  await assert.rejects(cache.remove(one), failsWith('in-use', /is in use/))
  cache.unpin(one)
  await cache.remove(one)
  await cache.remove(one)
  await cache.remove(three, { isForced: true })
  assert.deepEqual(await readdir(directory), [])
})

test('an image of known size that cannot fit is refused before anything is copied, and nothing goes for it', async (t) => {
  const { cache, store } = await makeWorld(t, { budgetMiB: 10 })
  store.keep(one, { sizeMiB: 4 })
  store.keep(two, { sizeMiB: 12 })
  await cache.ensure(store.wish(one))
  await assert.rejects(cache.ensure({ ...store.wish(two), sizeMiB: 12 }), failsWith('cache-full', /12 MiB are wanted/))
  assert.deepEqual(store.fetched, [one])
  assert.deepEqual(await idsIn(cache), [one])
})

test('an image whose size nobody knew is refused when it turns out not to fit, and nothing of it is left', async (t) => {
  const { cache, store, directory } = await makeWorld(t, { budgetMiB: 10 })
  store.keep(two, { sizeMiB: 12 })
  await assert.rejects(cache.ensure(store.wish(two)), failsWith('cache-full', /1[23] MiB are wanted/))
  assert.deepEqual(await readdir(directory), [])
})

test('a sparse image counts with what it occupies, and a size that was told too high doesn’t count in the end', async (t) => {
  const { cache, store } = await makeWorld(t, { budgetMiB: 10 })
  store.keep(one, { sizeMiB: 1, holesMiB: 100 })
  store.keep(two, { sizeMiB: 4 })
  const { usedBytes, manifest } = await cache.ensure({ ...store.wish(one), sizeMiB: 9 })
  assert.equal(manifest.files.memory.bytes, 101 * mib)
  assert.ok(usedBytes < 3 * mib, `${usedBytes} bytes`)
  await cache.ensure(store.wish(two))
  assert.deepEqual(await idsIn(cache), [one, two])
  const usage = await cache.usage()
  assert.equal(usage.budgetMiB, 10)
  assert.ok(usage.usedMiB >= 5 && usage.usedMiB <= 7, `${usage.usedMiB} MiB`)
  assert.equal(usage.pinnedMiB, 0)
})

test('on a full file system room is made, and what doesn’t fit is refused and leaves nothing', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root can mount a small file system')
  const mounted = await mountSmall(t, 84)
  const { cache, store } = await makeWorld(t, { directory: mounted })
  for (const imageId of [one, two]) store.keep(imageId, { sizeMiB: 12 })
  store.keep(three, { sizeMiB: 200 })
  await cache.ensure(store.wish(one))
  // 84 MiB less the 64 that stay free have room for one of the two.
  await cache.ensure(store.wish(two))
  assert.deepEqual(await idsIn(cache), [two])
  await assert.rejects(cache.ensure(store.wish(three)), failsWith('cache-full', /./))
  assert.deepEqual(
    (await readdir(mounted)).filter((name) => name.startsWith('.')),
    [],
  )
})

test('a baked image is here when it is finished, and not before', async (t) => {
  const { cache, store, directory, restart } = await makeWorld(t)
  const { manifest, write } = store.keep(one, { sizeMiB: 1 })
  await write(await cache.begin(one))
  assert.equal(await cache.get(one), undefined)
  await assert.rejects(cache.ensure(store.wish(one)), failsWith('in-use', /is being baked/))
  await assert.rejects(cache.remove(one), failsWith('in-use', /is being baked/))
  const finished = await cache.finish(manifest)
  assert.deepEqual(await cache.get(one), finished)
  assert.deepEqual(await cache.finish(manifest), finished)
  await cache.abandon(one)
  assert.deepEqual(await restart().get(one), finished)
  assert.deepEqual(await readdir(directory), [one])
})

test('a baked file of another size than its manifest says is refused; abandoned, nothing of it is left', async (t) => {
  const { cache, store, directory } = await makeWorld(t)
  const { manifest, write } = store.keep(one, { sizeMiB: 1 })
  const files = await cache.begin(one)
  await assert.rejects(
    cache.finish(manifest),
    failsWith('image-corrupt', /memory of the image img-aaaaaaaa is missing/),
  )
  await write(files)
  await truncate(files.state, 3)
  await assert.rejects(cache.finish(manifest), failsWith('image-corrupt', /state .* has 3 bytes, and should have/))
  assert.equal(await cache.get(one), undefined)
  await cache.abandon(one)
  await cache.abandon(one)
  assert.deepEqual(await readdir(directory), [])
  await assert.rejects(cache.finish(manifest), failsWith('wrong-state', /No baking/))
})

test('a baking that is begun again begins empty, and one that doesn’t fit is refused', async (t) => {
  const { cache, store } = await makeWorld(t, { budgetMiB: 10 })
  const { manifest, write } = store.keep(one, { sizeMiB: 12 })
  await write(await cache.begin(one))
  const files = await cache.begin(one)
  await assert.rejects(stat(files.memory), { code: 'ENOENT' })
  await write(files)
  await assert.rejects(cache.finish(manifest), failsWith('cache-full', /1[23] MiB are wanted/))
  await cache.abandon(one)
  await assert.rejects(cache.begin(two, 11), failsWith('cache-full', /11 MiB are wanted/))
})

test('an agent killed in the middle of a fetch and a baking leaves no image, and the next one clears up', async (t) => {
  const { directory, restart } = await makeWorld(t)
  const program = `
    import { writeFile } from 'node:fs/promises'
    import { createMemoryImageCache } from ${JSON.stringify(join(import.meta.dirname, 'memory-image-cache.ts'))}
    const logger = { info() {}, warn() {}, error() {} }
    const cache = createMemoryImageCache({ directory: ${JSON.stringify(directory)}, budgetMiB: 100, logger })
    const files = await cache.begin('img-bbbbbbbb')
    await writeFile(files.memory, 'half')
    const storage = { fetchImage: async (volumeId, imageId, into) => {
      await writeFile(into.memory, 'half')
      console.log('half')
      await new Promise(() => setInterval(() => {}, 1000))
    } }
    await cache.ensure({ storage, volumeId: 'vol-mmmmmmmm', imageId: 'img-aaaaaaaa' })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  await Promise.race([once(child.stdout, 'data'), exited])
  child.kill('SIGKILL')
  await exited
  assert.equal((await readdir(directory)).length, 2)
  assert.deepEqual(await restart().list(), [])
  assert.deepEqual(await readdir(directory), [])
})

/** A file system of that size, gone when the test is over. */
async function mountSmall(t: TestContext, sizeMiB: number): Promise<string> {
  const point = await mkdtemp(join(tmpdir(), 'dialtone-memory-small-'))
  await runCommand('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', point], { timeoutMs: 10_000 })
  t.after(async () => {
    await runCommand('umount', [point], { timeoutMs: 10_000 })
    await rm(point, { recursive: true })
  })
  return point
}

async function idsIn(cache: ReturnType<typeof createMemoryImageCache>): Promise<ImageId[]> {
  return (await cache.list()).map(({ manifest }) => manifest.id).toSorted()
}

async function sha256Of(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
}
