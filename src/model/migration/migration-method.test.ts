import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  chooseMethod,
  followingBytesPerSecond,
  longestLiveMs,
  longestMoveMs,
  nextStep,
  pauseLimitMs,
} from './migration-method.ts'

const facts = { accelerator: 'tcg', qemuVersion: '7.2.22', memoryMiB: 128, hasPluggedMemory: false } as const
const options = { memoryMiB: 128, canPostCopy: true }
const progress = {
  ...{ elapsedMs: 100, stalledMs: 0, passes: 3, leftBytes: 10e6, leftBeforeBytes: 20e6, bytesPerSecond: 100e6 },
  isStopped: false,
} as const

describe('a move', () => {
  test('is made while the machine runs wherever QEMU sees every change of its memory', () => {
    assert.equal(chooseMethod(facts).method, 'precopy')
    assert.equal(chooseMethod({ ...facts, accelerator: 'kvm', hasPluggedMemory: true }).method, 'precopy')
    assert.equal(chooseMethod({ ...facts, qemuVersion: '10.0.2', hasPluggedMemory: true }).method, 'precopy')
  })

  test('stands still where changes would be lost: memory that was plugged in under emulation before QEMU 9', () => {
    assert.equal(chooseMethod({ ...facts, hasPluggedMemory: true }).method, 'stop-and-copy')
  })

  test('goes on as long as each pass leaves less than the one before', () => {
    assert.equal(nextStep(progress, options), 'go-on')
    assert.equal(nextStep({ ...progress, passes: 2, leftBytes: 20e6 }, options), 'go-on')
  })

  test('that its guest outruns stands still for the rest, if that is not for long', () => {
    assert.equal(nextStep({ ...progress, leftBytes: 20e6 }, options), 'stop')
    assert.equal(nextStep({ ...progress, passes: 10 }, options), 'stop')
    assert.equal(nextStep({ ...progress, elapsedMs: longestLiveMs(128) }, options), 'stop')
  })

  test('that its guest outruns by much has the rest follow it, where that can be', () => {
    const outrun = { ...progress, leftBytes: 300e6, leftBeforeBytes: 300e6 }
    assert.equal(nextStep(outrun, options), 'post-copy')
    assert.equal(nextStep(outrun, { ...options, canPostCopy: false }), 'stop')
  })

  test('leaves room for what the machine asks for while the rest follows it', () => {
    assert.equal(followingBytesPerSecond(100e6), 50e6)
    assert.ok(followingBytesPerSecond(1) > 1e6)
  })

  test('that stands still already goes on', () => {
    assert.equal(nextStep({ ...progress, passes: 10, isStopped: true }, options), 'go-on')
  })

  test('lets a guest that is busy stand still for longer', () => {
    assert.deepEqual([1, 3, 9].map(pauseLimitMs), [30, 100, 100])
  })

  test('is never left hanging: one that moves nothing, or takes too long, is given up', () => {
    assert.equal(nextStep({ ...progress, stalledMs: 5_000 }, options), 'give-up')
    assert.equal(nextStep({ ...progress, stalledMs: 5_000, isStopped: true }, options), 'give-up')
    assert.equal(nextStep({ ...progress, elapsedMs: longestMoveMs(128) }, options), 'give-up')
  })
})
