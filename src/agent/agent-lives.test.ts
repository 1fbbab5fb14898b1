import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { beginLife, raiseLives } from './agent-lives.ts'

test('each agent of a host has a higher number than those before it, and than what the leader knows', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'agent-lives-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'lives')
  assert.deepEqual([await beginLife(path), await beginLife(path)], [1, 2])
  await raiseLives(path, 7)
  await raiseLives(path, 3)
  assert.equal(await beginLife(path), 8)
  await writeFile(path, 'x')
  assert.equal(await beginLife(path), 1)
})
