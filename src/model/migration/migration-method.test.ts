import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { chooseMethod, longestLiveMs, longestMoveMs, nextStep, pauseLimitMs } from './migration-method.ts'

const facts = { accelerator: 'tcg', qemuVersion: '7.2.22', memoryMiB: 128, hasPluggedMemory: false } as const
const progress = { elapsedMs: 100, stalledMs: 0, passes: 1, isStopped: false } as const

describe('a move', () => {
  test('is made while the machine runs wherever QEMU sees every change of its memory', () => {
    assert.equal(chooseMethod(facts).method, 'precopy')
    assert.equal(chooseMethod({ ...facts, accelerator: 'kvm', hasPluggedMemory: true }).method, 'precopy')
    assert.equal(chooseMethod({ ...facts, qemuVersion: '10.0.2', hasPluggedMemory: true }).method, 'precopy')
  })

  test('stands still where changes would be lost: memory that was plugged in under emulation before QEMU 9', () => {
    assert.equal(chooseMethod({ ...facts, hasPluggedMemory: true }).method, 'stop-and-copy')
  })

  test('that is chased by its own guest stands still for the rest, and once it does it goes on', () => {
    assert.equal(nextStep(progress, 128), 'go-on')
    assert.equal(nextStep({ ...progress, passes: 10 }, 128), 'stop')
    assert.equal(nextStep({ ...progress, elapsedMs: longestLiveMs(128) }, 128), 'stop')
    assert.equal(nextStep({ ...progress, passes: 10, isStopped: true }, 128), 'go-on')
  })

  test('lets a guest that outruns it stand still for longer, rather than slow it down for ever', () => {
    assert.deepEqual([1, 3, 9].map(pauseLimitMs), [30, 100, 300])
  })

  test('is never left hanging: one that moves nothing, or takes too long, is given up', () => {
    assert.equal(nextStep({ ...progress, stalledMs: 5_000 }, 128), 'give-up')
    assert.equal(nextStep({ ...progress, stalledMs: 5_000, isStopped: true }, 128), 'give-up')
    assert.equal(nextStep({ ...progress, elapsedMs: longestMoveMs(128) }, 128), 'give-up')
  })
})
