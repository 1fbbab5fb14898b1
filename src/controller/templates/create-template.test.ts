/** Templates from machines: every order meets with a mishap, under virtual time, against fake hosts. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import { type Cloud, startCloud } from '../../engine/cloud.fixture.ts'
import type { Call } from '../../engine/fake-agents.fixture.ts'
import { put } from '../../engine/leader.ts'
import { arrange, letItEnd, type Mishap, mishaps } from '../../engine/mishaps.fixture.ts'
import { keys } from '../../engine/state/keys.ts'
import { sharedId, tinyTemplate, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import {
  layerIdSchema,
  snapshotIdSchema,
  type TaskId,
  templateIdSchema,
  type VmId,
  volumeIdSchema,
} from '../../model/ids.ts'
import { type CreateTemplateJournal, createTemplateSaga } from './create-template-saga.ts'
import type { NewVersions } from './new-versions.ts'

const version = 'web-1'
const volumeId = volumeIdSchema.parse('vol-cccccccc')
const disks = [1, 2].map((number) => ({
  ...{ volumeId: volumeIdOf(`web${number}`), storageId: sharedId, format: 'qcow2' as const, sizeMiB: 128 },
}))

/** Folders that are there, whoever leads; `mishap` befalls the first that is brought. */
function fakeVersions(folders: Set<string>, mishap: { begins(): void; ends(): void }): NewVersions {
  return {
    async add({ parameters, open }) {
      mishap.begins()
      const { stream } = await open()
      await stream.toArray()
      folders.add(parameters.version)
      mishap.ends()
    },
    async remove(name) {
      folders.delete(name)
    },
    async enter(leader, name) {
      const template = { ...tinyTemplate, id: templateIdSchema.parse('tpl-bbbbbbbb'), name: 'web', version: name }
      await leader.store.commit({ conditions: [], writes: [put(keys.template(template.id), template)] })
    },
  }
}

type World = { readonly cloud: Cloud; readonly folders: ReadonlySet<string>; meetWith(mishap: Mishap): void }

async function open(): Promise<World & AsyncDisposable> {
  const folders = new Set<string>()
  let mishap: Mishap | undefined
  const happen = (isBefore: boolean) => {
    const isNow = mishap === 'fails once' || mishap === 'crashes before' ? isBefore : !isBefore
    if (mishap === undefined || !isNow) return
    if (mishap.startsWith('crashes')) cloud.crash()
    mishap = undefined
    throw new DialtoneError('host-unreachable', 'the line broke')
  }
  const versions = fakeVersions(folders, { begins: () => happen(true), ends: () => happen(false) })
  const cloud = await startCloud({
    hosts: [{ name: 'ada' }, { name: 'bob' }],
    moreSagas: (leader, tasks, agents) => [
      createTemplateSaga(leader, tasks, {
        source: {
          agents,
          epochFloor: () => 1,
          readVolume: async (_host, volume) => {
            assert.equal(cloud.agents.layers.links.has(volume.volumeId), false, 'it does not stand alone')
            return { size: 4, stream: Readable.from([Buffer.from('disk')]) }
          },
        },
        versions,
      }),
    ],
  })
  return {
    cloud,
    folders,
    meetWith(wanted) {
      mishap = wanted
    },
    [Symbol.asyncDispose]: () => cloud[Symbol.asyncDispose](),
  }
}

async function origin(cloud: Cloud, isRunning: boolean): Promise<VmId> {
  const vmId = await cloud.createRunning('web', { spec: { disks } })
  if (isRunning) return vmId
  await cloud.change(vmId, { desired: 'stopped', stopMode: 'kill' })
  await cloud.clock.until('it is down', () => cloud.vm(vmId)?.status?.state === 'stopped', 10_000)
  return vmId
}

async function begin(cloud: Cloud, vmId: VmId): Promise<TaskId> {
  const journal: CreateTemplateJournal = {
    ...{ vmId, snapshotId: snapshotIdSchema.parse('snap-aaaaaaaa'), isOwnSnapshot: true, snapshotName: null },
    parameters: { name: 'web', version, note: '' },
    ...{ volumeId, overlay: layerIdSchema.parse('layer-aaaaaaaa') },
  }
  return cloud.begin('template.create', journal)
}

/** Of the version all or nothing; of the machine nothing but what it was; of the volume in between nothing. */
function check({ cloud, folders }: World, vmId: VmId): 'whole' | 'nothing' {
  const origins = cloud.vm(vmId)?.spec.disks.map((disk) => disk.volumeId) ?? []
  assert.deepEqual([...cloud.agents.volumes].toSorted(), origins.toSorted(), 'a volume is left')
  assert.deepEqual([...cloud.state().discards.keys()], [], 'a volume is still to be deleted')
  assert.deepEqual([...cloud.state().snapshots.keys()], [], 'its snapshot is left')
  assert.deepEqual([...cloud.agents.layers.snapshots.keys()], [], 'a snapshot is left beside the disks')
  assert.equal(cloud.vm(vmId)?.operation, undefined, 'an operation is left open')
  assert.deepEqual([cloud.agents.layers.violations, cloud.agents.twoWriters, cloud.agents.disks.troubles], [[], [], []])
  const known = [...cloud.state().templates.values()].filter((template) => template.version === version)
  assert.deepEqual(
    [...folders],
    known.map((template) => template.version),
    'a folder without a template, or the reverse',
  )
  return known.length === 1 ? 'whole' : 'nothing'
}

describe('a template from a machine', () => {
  const moments: readonly { readonly isRunning: boolean; readonly call: Call }[] = [
    { isRunning: true, call: 'snapshotMachine' },
    { isRunning: true, call: 'linkMachineDisks' },
    { isRunning: true, call: 'removeSnapshot' },
    { isRunning: true, call: 'flattenVolume' },
    { isRunning: true, call: 'deleteVolume' },
    { isRunning: false, call: 'snapshotDisks' },
    { isRunning: false, call: 'linkDisks' },
  ]
  for (const { isRunning, call } of moments)
    for (const mishap of mishaps)
      test(`that ${isRunning ? 'runs' : 'is off'}, whose ${call} ${mishap}, is whole or nothing of it is left`, async () => {
        await using world = await open()
        const { cloud } = world
        const vmId = await origin(cloud, isRunning)
        arrange(cloud, mishap, { call })
        await begin(cloud, vmId)
        await letItEnd(cloud)
        const outcome = check(world, vmId)
        if (mishap.startsWith('crashes')) assert.equal(outcome, 'whole')
        assert.equal(cloud.vm(vmId)?.status?.state, isRunning ? 'running' : 'stopped')
      })

  for (const mishap of mishaps)
    test(`that is brought here, which ${mishap}, is whole`, async () => {
      await using world = await open()
      const { cloud } = world
      const vmId = await origin(cloud, true)
      world.meetWith(mishap)
      await begin(cloud, vmId)
      await letItEnd(cloud)
      assert.equal(check(world, vmId), 'whole')
    })

  test('that is called off while its disk is copied leaves nothing, and the machine has long gone on', async () => {
    await using world = await open()
    const { cloud } = world
    const vmId = await origin(cloud, true)
    cloud.agents.takesMs.set('flattenVolume', 2_000)
    const taskId = await begin(cloud, vmId)
    const isCopied = () => cloud.agents.orders.some((order) => order.startsWith('flattenVolume'))
    await cloud.clock.until('it is copied', isCopied, 10_000)
    assert.equal(cloud.vm(vmId)?.operation, undefined, 'the machine is still held')
    assert.equal(cloud.state().discards.size, 1)
    void cloud.engine().tasks.cancel(taskId)
    await letItEnd(cloud)
    assert.equal(cloud.taskState(taskId), 'cancelled')
    assert.equal(check(world, vmId), 'nothing')
  })

  test('says in its end of which instant it is, and in what order its file systems are', async () => {
    await using world = await open()
    const { cloud } = world
    const vmId = await origin(cloud, false)
    const taskId = await begin(cloud, vmId)
    await letItEnd(cloud)
    assert.match(cloud.state().tasks.get(taskId)?.message ?? '', /^web-1 is the disk of web of .*, while it was off$/)
  })
})
