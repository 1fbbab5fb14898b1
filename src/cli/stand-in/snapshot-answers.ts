/** What the stand-in controller answers about snapshots: a machine `web` with three of them, in a tree with two branches. */
import type { SnapshotView, snapshotRoutes } from '../../model/api/snapshot-routes.ts'
import type { VmView } from '../../model/api/views.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { snapshotIdSchema } from '../../model/ids.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { makeTaskView } from './views.ts'

type Situation = { readonly vms: readonly VmView[]; readonly changes: string[] }

const snap = (word: string) => snapshotIdSchema.parse(`snap-${word.repeat(8)}`)

export function makeSnapshotViews(vm: VmView): readonly SnapshotView[] {
  const base = (name: string, word: string, parent: string | null): SnapshotView => ({
    ...{ formatVersion: 1, id: snap(word), vmId: vm.id, name, note: '', kind: 'disk', consistency: 'crash' },
    parentId: parent === null ? null : snap(parent),
    disks: vm.disks.map(({ volumeId, storageId, sizeMiB }) => ({ volumeId, storageId, sizeMiB, layerId: null })),
    imageId: null,
    machine: {
      ...{ name: vm.name, cpus: vm.cpus, memoryMiB: vm.memoryMiB, hardware: vm.hardware },
      templateVersion: vm.templateVersion,
    },
    ...{ wasRunning: true, takenAt: '2026-03-01T10:00:00.000Z', pauseMs: 0, origin: 'user', setId: null },
    ...{ isProtected: false, vmName: vm.name, parentName: null, isHere: false },
  })
  return [
    { ...base('clean', 'a', null), consistency: 'guest-frozen', isProtected: true, note: 'as delivered' },
    { ...base('tuned', 'b', 'a'), parentName: 'clean' },
    { ...base('tried', 'c', 'a'), kind: 'memory', consistency: 'memory', isHere: true, parentName: 'clean' },
  ]
}

export function makeSnapshotHandlers(situation: Situation): Handlers<typeof snapshotRoutes> {
  const found = (reference: string): VmView => {
    const vm = situation.vms.find(({ id, name }) => id === reference || name === reference)
    if (vm === undefined) throw new DialtoneError('not-found', `There is no VM ${reference}.`)
    return vm
  }
  const snapshotOf = ({ vm, snapshot }: { readonly vm: string; readonly snapshot: string }): SnapshotView => {
    const view = makeSnapshotViews(found(vm)).find(({ id, name }) => id === snapshot || name === snapshot)
    if (view === undefined) throw new DialtoneError('not-found', `There is no snapshot ${snapshot}.`)
    return view
  }
  const begin = (what: string, reference: string) => {
    const vm = found(reference)
    situation.changes.push(`${what} ${vm.name}`)
    return { vm, task: makeTaskView({ kind: 'vm.snapshot', subject: vm.name }) }
  }
  const list = (vm: string) => ({
    vmName: found(vm).name,
    snapshots: [...makeSnapshotViews(found(vm))],
    schedule: null,
  })
  return {
    listSnapshots: ({ params }) => list(params.vm),
    getSnapshot: ({ params }) => ({ ...snapshotOf(params), differences: [] }),
    createSnapshot: ({ params, body }) => begin(`snapshot ${JSON.stringify(body)}`, params.vm),
    createSnapshotSet({ body }) {
      situation.changes.push(`snapshot-set ${body.vms.join(' ')}`)
      return { task: makeTaskView({ kind: 'snapshot-set' }) }
    },
    changeSnapshot: ({ params, body }) => ({ ...snapshotOf(params), isProtected: body.protected ?? false }),
    deleteSnapshot: ({ params }) => begin(`delete-snapshot ${snapshotOf(params).name} of`, params.vm),
    revertVm: ({ params, body }) => begin(`revert ${JSON.stringify(body)}`, params.vm),
    setSnapshotSchedule({ params, body }) {
      const set = { ...body, setBy: 'admin', setAt: '2026-03-01T10:00:00.000Z' }
      return { ...list(params.vm), schedule: set }
    },
    dropSnapshotSchedule: ({ params }) => list(params.vm),
    getChange: () => ({ change: null, snapshotName: null }),
    beginChange: ({ params, body }) => begin(`change-begin ${JSON.stringify(body)}`, params.vm),
    commitChange: ({ params }) => begin('change-commit', params.vm),
    revertChange: ({ params }) => begin('change-revert', params.vm),
  }
}
