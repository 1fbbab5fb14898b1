import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hostIdOf, makeCluster, makeHost, makeVm, someTime } from '../../model/cluster-state.fixture.ts'
import { sessionIdSchema, taskIdSchema } from '../../model/ids.ts'
import type { VmMigration } from '../../model/migration/vm-migration.ts'
import { refuseAnyMemory, refuseCapture, refuseDelete, refuseRevert, refuseSnapshot } from './admit-snapshot.ts'
import { describeDifferences } from './describe-differences.ts'
import { makeSnapshot, snapshotIdOf } from './snapshot.fixture.ts'

const web = makeVm('web')
const withState = (state: 'running' | 'stopped' | 'unknown') => {
  const status = web.status ?? statusOf(state)
  return { ...web, status: { ...status, state } }
}
const running = withState('running')
const wish = { name: 'before', kind: 'disk' } as const

function statusOf(state: 'running' | 'stopped' | 'unknown') {
  const base = { since: someTime, hostId: hostIdOf('ada'), epoch: 1, incarnation: 0, pid: 1, detail: '', crashes: 0 }
  return { ...base, state, recovery: null }
}

describe('a snapshot', () => {
  const cluster = makeCluster({ vms: [running], hosts: [makeHost('ada')] })

  test('of a machine that runs or is off may be taken; of one that nobody knows about not', () => {
    assert.equal(refuseSnapshot(cluster, running, wish), undefined)
    assert.equal(refuseSnapshot(cluster, withState('stopped'), wish), undefined)
    assert.equal(refuseSnapshot(cluster, withState('unknown'), wish)?.code, 'wrong-state')
  })

  test('has memory only where there is one, in a guest that can be resumed', () => {
    const memory = { ...wish, kind: 'memory' } as const
    assert.equal(refuseSnapshot(cluster, running, memory), undefined)
    assert.match(
      refuseSnapshot(cluster, withState('stopped'), memory)?.message ?? '',
      /only one that runs has a memory/,
    )
    const templates = new Map([...cluster.templates].map(([id, template]) => [id, { ...template, canResume: false }]))
    assert.equal(refuseSnapshot({ ...cluster, templates }, running, memory)?.code, 'image-unfit')
    const sealed = { ...running, spec: { ...running.spec, guest: { ...running.spec.guest, tpm: true } } }
    assert.match(refuseSnapshot(cluster, sealed, memory)?.message ?? '', /state of its TPM.*take its disks/)
    assert.equal(refuseSnapshot(cluster, sealed, wish), undefined)
    assert.equal(refuseAnyMemory(cluster, sealed.spec)?.code, 'image-unfit')
    assert.equal(refuseAnyMemory(cluster, withState('stopped').spec), undefined)
  })

  test('has a name of its own, and qcow2 disks', () => {
    const snapshots = new Map([[snapshotIdOf('a'), makeSnapshot('a', { name: 'before' })]])
    assert.equal(refuseSnapshot({ ...cluster, snapshots }, running, wish)?.code, 'name-taken')
    const disks = running.spec.disks.map((disk) => ({ ...disk, format: 'raw' as const }))
    const raw = { ...running, spec: { ...running.spec, disks } }
    assert.equal(refuseSnapshot(cluster, raw, wish)?.code, 'image-unfit')
  })

  test('is refused as the 33rd in a row, and says what to do', () => {
    const chain = Array.from({ length: 32 }, (_, index) =>
      makeSnapshot(`s${index}`, index === 0 ? {} : { parent: `s${index - 1}` }),
    )
    const snapshots = new Map(chain.map((snapshot) => [snapshot.id, snapshot]))
    const deep = { ...running, spec: { ...running.spec, basedOnSnapshotId: snapshotIdOf('s31') } }
    assert.match(
      refuseSnapshot({ ...cluster, snapshots }, deep, wish)?.message ?? '',
      /32 snapshots in a row.*delete one/,
    )
    const branch = { ...running, spec: { ...running.spec, basedOnSnapshotId: snapshotIdOf('s3') } }
    assert.equal(refuseSnapshot({ ...cluster, snapshots }, branch, wish), undefined)
  })

  test('goes with no move and no other task on the disks', () => {
    const taskId = taskIdSchema.parse('task-aaaaaaaa')
    const operation = { taskId, kind: 'revert', needsClosed: false, epoch: null, openedAt: someTime } as const
    const busy = { ...running, operation }
    for (const refusal of [
      refuseSnapshot(cluster, busy, wish),
      refuseRevert(cluster, busy),
      refuseDelete(busy, makeSnapshot('a')),
    ])
      assert.match(refusal?.message ?? '', /being returned to a snapshot/)
    const session = sessionIdSchema.parse('ses-aaaaaaaa')
    const hosts = { sourceHostId: hostIdOf('ada'), destinationHostId: hostIdOf('bob'), session, taskId }
    const move: VmMigration = {
      ...hosts,
      ...{ disks: [], sourceEpoch: 1, epoch: 2, phase: 'moving', startedAt: someTime, reason: '' },
    }
    assert.match(refuseSnapshot(cluster, { ...running, migration: move }, wish)?.message ?? '', /being moved/)
    assert.equal(refuseRevert(cluster, { ...running, migration: move })?.code, 'in-use')
    assert.match(refuseCapture(cluster, { ...running, migration: move })?.message ?? '', /wait until it is there/)
    assert.equal(refuseCapture(cluster, running), undefined)
  })

  test('that is protected, or that a change may return to, is not deleted', () => {
    assert.match(refuseDelete(running, makeSnapshot('a', { isProtected: true }))?.message ?? '', /protected/)
    assert.equal(refuseDelete(running, makeSnapshot('a')), undefined)
  })
})

describe('a return', () => {
  test('says of each difference what becomes of it', () => {
    const same = makeSnapshot('a', { disks: running.spec.disks.map((disk) => ({ ...disk, layerId: null })) })
    const machine = { ...same.machine, cpus: running.spec.cpus, memoryMiB: running.spec.memoryMiB }
    assert.deepEqual(describeDifferences(running.spec, { ...same, machine }), [])
    const other = { ...same, machine: { ...machine, memoryMiB: 1 } }
    assert.match(
      describeDifferences(running.spec, other).join('; '),
      /it had 1 MiB of memory and has the 256 of now again/,
    )
    assert.match(describeDifferences(running.spec, makeSnapshot('b', { disks: [] })).join('; '), /came later and stays/)
  })
})
