import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeCloud, makeEvent, makeHost, makeVm } from './cloud-state.fixture.ts'
import { applyChanges, usageOf } from './cloud-state.ts'

const wire = (object: unknown): unknown => JSON.parse(JSON.stringify(object))

test('objects are changed, added and removed, in the order of the changes; what did not change stays the same object', () => {
  const [web, db] = [makeVm('web'), makeVm('db')]
  const before = makeCloud({ vms: [web, db], hosts: [makeHost('node1')] })
  const after = applyChanges(before, [
    { noun: 'vm', id: web.id, change: 'put', object: wire(makeVm('web', 'restarting')) },
    { noun: 'vm', id: web.id, change: 'put', object: wire(makeVm('web', 'running', { hostName: 'node2' })) },
    { noun: 'vm', id: db.id, change: 'delete', object: null },
    { noun: 'something-new', id: 'x', change: 'put', object: { of: 'another version' } },
  ])
  assert.deepEqual(
    [...after.vms.values()].map(({ name, hostName }) => [name, hostName]),
    [['web', 'node2']],
  )
  assert.equal(after.hosts, before.hosts)
})

test('an event that was loaded and comes again in the stream is there once; the newest is first', () => {
  const before = makeCloud({ events: [makeEvent(2), makeEvent(1)] })
  const put = (event: unknown) => ({ noun: 'event', id: 'x', change: 'put' as const, object: wire(event) })
  const after = applyChanges(before, [put(makeEvent(2)), put(makeEvent(3)), put(makeEvent(4))])
  assert.deepEqual(
    after.events.map(({ revision }) => revision),
    [4, 3, 2, 1],
  )
})

test('what a host gives is the sum over its machines that are not stopped', () => {
  const state = makeCloud({
    vms: [makeVm('a'), makeVm('b', 'paused'), makeVm('c', 'stopped'), makeVm('d', 'running', { placement: null })],
  })
  const { memoryMiB, cpus, vms } = usageOf(state, makeHost('node1'))
  assert.deepEqual([memoryMiB, cpus, vms.length], [1024, 4, 2])
})
