import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type PresentHardware, pendingOf, planMemory, roomBeside, usualGrowth } from './growth.ts'
import { volumeIdSchema } from './ids.ts'

const volumeId = volumeIdSchema.parse('vol-root2345')
const present: PresentHardware = { cpus: 2, memoryMiB: 512, disks: [{ volumeId, sizeMiB: 64 }], cards: [1], notes: [] }
const wanted = { cpus: 2, memoryMiB: 512, disks: [{ volumeId, sizeMiB: 64 }], cards: [{ number: 1 }] }

describe('memory that is wanted', () => {
  const of = { bootMiB: 256, roomMiB: 512 }

  test('above what it began with is plugged in, in steps that guests take, as far as there is room', () => {
    assert.deepEqual(planMemory(301, of), { pluggedMiB: 48, balloonedMiB: 0, missingMiB: 0 })
    assert.deepEqual(planMemory(1024, of), { pluggedMiB: 512, balloonedMiB: 0, missingMiB: 256 })
  })

  test('below that is taken back by the balloon', () =>
    assert.deepEqual(planMemory(200, of), { pluggedMiB: 0, balloonedMiB: 56, missingMiB: 0 }))

  test('has room beside what it began with, in whole steps', () => {
    assert.equal(roomBeside(130, { maximumCpus: 8, maximumMemoryMiB: 512 }), 380)
    assert.equal(roomBeside(600, { maximumCpus: 8, maximumMemoryMiB: 512 }), 0)
  })
})

test('a new machine has room for several times its size', () => {
  assert.deepEqual(usualGrowth({ cpus: 1, memoryMiB: 128 }), { maximumCpus: 8, maximumMemoryMiB: 8192 })
  assert.deepEqual(usualGrowth({ cpus: 32, memoryMiB: 65_536 }), { maximumCpus: 64, maximumMemoryMiB: 262_144 })
})

describe('what is pending', () => {
  test('is nothing when it has all, and less than a step of memory is no difference', () => {
    assert.deepEqual(pendingOf(wanted, present), [])
    assert.deepEqual(pendingOf({ ...wanted, memoryMiB: 513 }, present), [])
  })

  test('says what is wanted, what is there, and why it waits for a restart', () => {
    const why = 'it began with room for 2 processors'
    const notes = [{ what: 'cpus', which: '', why, needsRestart: true }] as const
    const [one, ...more] = pendingOf({ ...wanted, cpus: 4 }, { ...present, notes: [...notes] })
    assert.deepEqual(one, { what: 'cpus', which: '', wanted: '4', present: '2', when: 'next-start', why })
    assert.equal(more.length, 0)
  })

  test('are disks that are to come, to grow and to go, and cards', () => {
    const which = (changes: object) => pendingOf({ ...wanted, ...changes }, present).map(({ what }) => what)
    assert.deepEqual(which({ disks: [{ volumeId, sizeMiB: 128 }] }), ['disk'])
    assert.deepEqual(which({ disks: [{ volumeId, sizeMiB: 64, isDetached: true }] }), ['disk'])
    assert.deepEqual(which({ disks: [...wanted.disks, { volumeId: 'vol-data2345', sizeMiB: 64 }] }), ['disk'])
    assert.deepEqual(which({ cards: [{ number: 1, isDetached: true }, { number: 2 }] }), ['card', 'card'])
    assert.deepEqual(which({ cards: [{ number: 1 }, { number: 2, isDetached: true }] }), [])
  })
})
