import assert from 'node:assert/strict'
import { chmod, open, readdir, readFile, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeWorld, one, three, two } from './image-store.fixture.ts'

const damages: readonly { what: string; harm: (folder: string) => Promise<unknown>; words: RegExp }[] = [
  { what: 'truncated', harm: (folder) => truncate(join(folder, 'memory'), 100), words: /memory has 100 bytes/ },
  {
    what: 'altered in one byte, with its times put back',
    harm: async (folder) => {
      const path = join(folder, 'memory')
      const { atime, mtime } = await stat(path)
      const file = await open(path, 'r+')
      await file.write('X', 5000)
      await file.close()
      await utimes(path, atime, mtime)
    },
    words: /memory was altered/,
  },
  {
    what: 'replaced by a copy',
    harm: async (folder) => {
      const bytes = await readFile(join(folder, 'state'))
      await writeFile(join(folder, 'copy'), bytes)
      await rename(join(folder, 'copy'), join(folder, 'state'))
    },
    words: /state was replaced/,
  },
  { what: 'without one of its files', harm: (folder) => rm(join(folder, 'state')), words: /state is gone/ },
]
for (const { what, harm, words } of damages) {
  test(`an image that was ${what} is not used but dropped, and fetched anew`, async (t) => {
    const { cache, store, directory, warnings, restart } = await makeWorld(t)
    store.keep(one, { sizeMiB: 1 })
    for (const find of [() => cache.get(one), () => restart().get(one)]) {
      await cache.ensure(store.wish(one))
      await harm(join(directory, one))
      assert.equal(await find(), undefined)
      assert.match(warnings.at(-1) ?? '', words)
      assert.deepEqual(await readdir(directory), [])
      await rm(join(directory, one), { recursive: true, force: true })
    }
    const whole = await cache.ensure(store.wish(one))
    assert.equal(await cache.verify(one), true)
    assert.equal(whole.manifest.id, one)
  })
}

const foldersDamages: readonly { what: string; harm: (folder: string) => Promise<unknown>; words: RegExp }[] = [
  { what: 'no manifest', harm: (folder) => rm(join(folder, 'manifest.json')), words: /no manifest/ },
  {
    what: 'half a manifest',
    harm: (folder) => cutInHalf(join(folder, 'manifest.json')),
    words: /manifest was altered/,
  },
  { what: 'half a seal', harm: (folder) => cutInHalf(join(folder, 'seal.json')), words: /manifest was altered/ },
  {
    what: 'a manifest that says something else',
    harm: async (folder) => {
      const path = join(folder, 'manifest.json')
      const text = await readFile(path, 'utf8')
      await chmod(path, 0o600)
      await writeFile(path, text.replace('"memoryMiB": 128', '"memoryMiB": 256'))
    },
    words: /manifest was altered/,
  },
]
for (const { what, harm, words } of foldersDamages) {
  test(`a folder with ${what} is no image after a restart`, async (t) => {
    const { cache, store, directory, warnings, restart } = await makeWorld(t)
    store.keep(one, { sizeMiB: 1 })
    await cache.ensure(store.wish(one))
    await harm(join(directory, one))
    assert.deepEqual(await restart().list(), [])
    assert.match(warnings.at(-1) ?? '', words)
    assert.deepEqual(await readdir(directory), [])
  })
}

test('what only the bytes tell is found by verification', async (t) => {
  const { cache, store, directory, warnings } = await makeWorld(t)
  store.keep(one, { sizeMiB: 1 })
  store.keep(two, { sizeMiB: 1 })
  await cache.ensure(store.wish(one))
  store.damage(two)
  await cache.ensure(store.wish(two))
  assert.equal(await cache.verify(one), true)
  assert.equal(await cache.verify(two), false)
  assert.equal(await cache.verify(three), false)
  assert.match(warnings.at(-1) ?? '', /memory has other bytes/)
  assert.deepEqual(await readdir(directory), [one])
})

async function cutInHalf(path: string): Promise<void> {
  await truncate(path, Math.floor((await stat(path)).size / 2))
}
