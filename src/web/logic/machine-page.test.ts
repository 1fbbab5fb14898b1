/** What the cards of a machine's page decide. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeVm } from '../cloud/cloud-state.fixture.ts'
import { memoryChoices, sizeCommand, sizeOf, whenItComes } from './machine-size.ts'
import { nameForPresent, obstacleToDeletion } from './snapshot-forest.ts'
import { tagChange } from './tag-change.ts'

const growth = { maximumCpus: 8, maximumMemoryMiB: 8192 }

test('a size is chosen up to what the machine can grow to; only what changes is asked for, by a command as well', () => {
  const vm = makeVm('web', 'running', { growth, memoryMiB: 300 })
  const choices = memoryChoices(vm)
  assert.ok(choices.includes(300) && choices.includes(512))
  assert.equal(choices.at(-1), 8192)
  assert.deepEqual(sizeOf(vm, { cpus: 2, memoryMiB: 512 }), { memoryMiB: 512 })
  assert.equal(sizeCommand('web', { memoryMiB: 512, cpus: 3 }), 'dialtone vm set web --memory 512MiB --cpus 3')
})

test('when a size comes is said before it is asked for', () => {
  assert.match(whenItComes(makeVm('web', 'running', { growth })), /at once/)
  assert.match(whenItComes(makeVm('web', 'running', { growth: null })), /at its next start/)
  assert.match(whenItComes(makeVm('web', 'stopped', { growth })), /when it is started/)
})

test('the present is kept under a name that is free; a protected snapshot says why it stays', () => {
  assert.equal(nameForPresent('base', []), 'before-base')
  assert.equal(nameForPresent('base', ['before-base', 'before-base-2']), 'before-base-3')
  assert.match(obstacleToDeletion({ name: 'base', isProtected: true }) ?? '', /protected/)
  assert.equal(obstacleToDeletion({ name: 'base', isProtected: false }), null)
})

test('tags are what stands in the field: what is missing is added, what is gone is removed', () => {
  assert.deepEqual(tagChange(['old', 'web'], ' web, blue  new '), { add: ['blue', 'new'], remove: ['old'] })
  assert.deepEqual(tagChange(['web'], ''), { add: [], remove: ['web'] })
})
