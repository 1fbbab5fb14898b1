/** Snapshots, returns to them, changes under their safety net, and copies. */
import assert from 'node:assert/strict'
import { waitForAnswer } from '../../src/cli/demo/http-probe.ts'
import type { SnapshotKind } from '../../src/model/snapshots/snapshot.ts'
import type { Operation } from './operation.ts'
import type { Subject } from './subject.ts'

const point = 'point'
const copy = 'copy'
/** What its disk has. */
const copied = 'copied'

export const snapshotOperations = {
  'vm snapshot create --disk': create('disk'),
  'vm snapshot create --memory': create('memory'),
  'vm snapshot revert, its disks': returnTo('disk'),
  'vm snapshot revert, with memory': returnTo('memory'),
  'vm snapshot delete': {
    prepare: (subject) => take(subject, 'disk'),
    ask: ({ api, name }) => api.call('deleteSnapshot', { params: { vm: name, snapshot: point } }),
    check: async (subject) => assert.deepEqual(await snapshotNames(subject), []),
    tidy: letGo,
  },
  'vm change begin': {
    ask: ({ api, name }) => api.call('beginChange', { params: { vm: name }, body: {} }),
    check: async (subject) => assert.notEqual(await changeOf(subject), null),
    tidy: endChange,
  },
  'vm change commit': {
    prepare: beginChange,
    ask: ({ api, name }) => api.call('commitChange', { params: { vm: name } }),
    check: async (subject) => {
      await subject.until('the change is over', async () => (await changeOf(subject)) === null)
    },
    tidy: endChange,
  },
  'vm change revert': {
    prepare: (subject) => writeAround(subject, beginChange),
    ask: ({ api, name }) => api.call('revertChange', { params: { vm: name } }),
    async check(subject, { seen, isOff }) {
      if (isOff) await start(subject)
      await subject.until('the change is over', async () => (await changeOf(subject)) === null)
      assert.deepEqual(await subject.contents(), { memory: 'before', rootDisk: 'before' })
      if (seen !== null) assert.equal((await subject.answer()).bootId, seen.bootId)
    },
    tidy: endChange,
    changesContents: true,
  },
  'vm clone --linked': clone(false),
  'vm clone --full': clone(true),
  'vm clone, from memory': {
    prepare: (subject) => write(subject, copied),
    ask: ({ api, name }) => api.call('cloneVm', { params: { vm: name }, body: { names: [copy], ha: false } }),
    check: checkTwin,
    tidy: removeCopy,
  },
} as const satisfies Readonly<Record<string, Operation>>

function create(kind: SnapshotKind): Operation {
  return {
    ask: ({ api, name }) => api.call('createSnapshot', { params: { vm: name }, body: { name: point, kind } }),
    async check({ api, name }) {
      assert.equal((await api.call('getSnapshot', { params: { vm: name, snapshot: point } })).kind, kind)
    },
    tidy: letGo,
  }
}

function returnTo(kind: SnapshotKind): Operation {
  return {
    prepare: (subject) => writeAround(subject, () => take(subject, kind)),
    ask: ({ api, name }) => api.call('revertVm', { params: { vm: name }, body: { snapshot: point } }),
    async check(subject, { seen }) {
      if ((await subject.look()).status.state === 'stopped') await start(subject)
      const memory = kind === 'memory' ? 'before' : 'gone'
      assert.deepEqual(await subject.contents(), { memory, rootDisk: 'before' })
      if (kind === 'disk' || seen === null) return
      // All that had come until then is there as well.
      assert.deepEqual([(await subject.answer()).bootId, await subject.shape()], [seen.bootId, seen.shape])
    },
    tidy: letGo,
    changesContents: true,
  }
}

function clone(full: boolean): Operation {
  return {
    prepare: (subject) => write(subject, copied),
    ask: ({ api, name }) => api.call('cloneDisks', { params: { vm: name }, body: { name: copy, full, start: true } }),
    check: checkTwin,
    tidy: removeCopy,
  }
}

/** It serves, and is another machine with its origin's disks. */
async function checkTwin({ api, laboratory, name }: Subject): Promise<void> {
  const [own, twin] = await Promise.all([name, copy].map((vm) => api.call('getVm', { params: { vm } })))
  assert(own !== undefined && twin !== undefined)
  const { answer } = await waitForAnswer({ address: twin.address, name: copy }, { deadlineMs: 60_000 })
  assert.notEqual(answer.mac, own.macAddress)
  assert.equal(await laboratory.inGuest(copy, 'cat /data/mark'), copied)
}

async function removeCopy({ api, laboratory }: Subject): Promise<void> {
  const { vms } = await api.call('listVms', { query: {} })
  if (!vms.some(({ name }) => name === copy)) return
  const { task } = await api.call('deleteVm', { params: { vm: copy }, query: { force: 'true' } })
  await laboratory.untilTaskEnds(task.id)
}

/** Also of a machine that is off, which is off again afterwards. */
async function whileItRuns(subject: Subject, work: () => Promise<void>): Promise<void> {
  const isOff = (await subject.look()).status.state === 'stopped'
  if (isOff) await start(subject)
  await work()
  if (isOff) await subject.done(subject.api.call('stopVm', { params: { vm: subject.name } }))
}

function write(subject: Subject, text: string): Promise<void> {
  return whileItRuns(subject, () => subject.write(text))
}

/** In one life of it: what it had in memory is in the point that is made. */
function writeAround(subject: Subject, makePoint: (subject: Subject) => Promise<void>): Promise<void> {
  return whileItRuns(subject, async () => {
    await subject.write('before')
    await makePoint(subject)
    await subject.write('after')
  })
}

async function start(subject: Subject): Promise<void> {
  await subject.done(subject.api.call('startVm', { params: { vm: subject.name } }))
  await subject.answer()
}

function take(subject: Subject, kind: SnapshotKind): Promise<void> {
  const { api, name } = subject
  return whileItRuns(subject, () =>
    subject.done(api.call('createSnapshot', { params: { vm: name }, body: { name: point, kind } })),
  )
}

async function snapshotNames({ api, name }: Subject): Promise<readonly string[]> {
  return (await api.call('listSnapshots', { params: { vm: name } })).snapshots.map((one) => one.name)
}

async function letGo(subject: Subject): Promise<void> {
  const { api, name } = subject
  for (const snapshot of await snapshotNames(subject))
    await subject.done(api.call('deleteSnapshot', { params: { vm: name, snapshot } }))
}

const changeOf = async ({ api, name }: Subject) => (await api.call('getChange', { params: { vm: name } })).change

function beginChange(subject: Subject): Promise<void> {
  const { api, name } = subject
  return whileItRuns(subject, () => subject.done(api.call('beginChange', { params: { vm: name }, body: {} })))
}

async function endChange(subject: Subject): Promise<void> {
  const { api, name } = subject
  if ((await changeOf(subject)) !== null) await subject.done(api.call('commitChange', { params: { vm: name } }))
  await letGo(subject)
}
