import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { storageIdOf } from '../../model/cluster-state.fixture.ts'
import { openClearedSlots } from './cleared-slots.ts'

const [nas, san] = [storageIdOf('nas'), storageIdOf('san')]

describe('slots that were cleared', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cleared-slots-'))
  })
  after(() => rm(folder, { recursive: true }))

  test('are known to the next agent until the leader was heard', async () => {
    const path = join(folder, 'cleared.json')
    const first = await openClearedSlots(path)
    assert.deepEqual(first.left, [])
    await first.add(nas)
    assert.deepEqual((await openClearedSlots(path)).left, [nas])
    // The leader is heard while the other one is being cleared.
    await Promise.all([first.add(san), first.remove(nas)])
    assert.deepEqual((await openClearedSlots(path)).left, [san])
    await first.remove(san)
    assert.deepEqual((await openClearedSlots(path)).left, [])
  })

  test('one that is cleared again while it is being settled stays known', async () => {
    const path = join(folder, 'again.json')
    const slots = await openClearedSlots(path)
    await slots.add(nas)
    await Promise.all([slots.remove(nas), slots.add(nas)])
    assert.deepEqual((await openClearedSlots(path)).left, [nas])
  })

  test('are not taken for none when the file is damaged', async () => {
    const path = join(folder, 'damaged.json')
    await writeFile(path, '["nas')
    await assert.rejects(openClearedSlots(path))
  })
})
