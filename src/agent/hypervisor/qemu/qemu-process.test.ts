import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { boundLog, lastLogLines, maximumLogBytes } from './qemu-process.ts'

test('a log is cut to its newer half when it has grown too long, and left alone before', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-log-'))
  t.after(() => rm(directory, { recursive: true }))
  const path = join(directory, 'qemu.log')
  await boundLog(path)
  await writeFile(path, 'short\n')
  await boundLog(path)
  assert.equal(await readFile(path, 'utf8'), 'short\n')
  await writeFile(path, `${'old '.repeat(maximumLogBytes / 4)}new\n`)
  await boundLog(path)
  const text = await readFile(path, 'utf8')
  assert.equal(text.length, maximumLogBytes / 2)
  assert.ok(text.endsWith('old new\n'))
})

test('last words come without time stamps', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-log-'))
  t.after(() => rm(directory, { recursive: true }))
  const path = join(directory, 'qemu.log')
  assert.equal(await lastLogLines(path, 1), '')
  await writeFile(path, '2026-11-21T08:36:12.123456Z qemu: one\n2026-11-21T08:36:12.123456Z qemu: two\nthree?\n')
  assert.equal(await lastLogLines(path, 2), 'qemu: two; three?')
})
