import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { claimBuildFolder, processStartTime, removeLeftOvers } from './build-folder.ts'

let into: string
beforeEach(async () => {
  into = await mkdtemp(join(tmpdir(), 'build-folder-'))
})
afterEach(() => rm(into, { recursive: true }))

test('the folder of a killed build is removed', async () => {
  await mkdir(join(into, '.building-tiny-0123456789ab-4194305-77'))
  assert.deepEqual(await removeLeftOvers(into), [])
  assert.deepEqual(await readdir(into), [])
})

test('a process id that was given to another process since does not protect a folder', async () => {
  await mkdir(join(into, `.building-tiny-0123456789ab-${process.ppid}-1`))
  await removeLeftOvers(into)
  assert.deepEqual(await readdir(into), [])
})

test('the folder of a living build stays, and its template is named', async () => {
  const folder = `.building-tiny-0123456789ab-${process.ppid}-${await processStartTime(process.ppid)}`
  await mkdir(join(into, folder))
  assert.deepEqual(await removeLeftOvers(into), ['tiny-0123456789ab'])
  assert.deepEqual(await readdir(into), [folder])
})

test('the own folder is no reason to wait, and templates are not touched', async () => {
  const folder = await claimBuildFolder(into, 'tiny-0123456789ab')
  await mkdir(join(into, 'tiny-ba9876543210'))
  assert.deepEqual(await removeLeftOvers(into), [])
  assert.deepEqual((await readdir(into)).sort(), [basename(folder), 'tiny-ba9876543210'])
})
