import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { sampleOrder, webId } from './machine-host.fixture.ts'
import { createMachineRecords, type MachineRecord } from './machine-record.ts'

const record: MachineRecord = {
  machine: sampleOrder(),
  epoch: 3,
  incarnation: 1,
  bootId: 'boot-1',
  confirmed: true,
  isArriving: false,
  wanted: 'running',
  isPaused: false,
  process: 'web-1',
  tapName: 'dt7',
  startedBy: 'boot',
  imageId: null,
  layers: [],
  lastRevert: null,
  unneededLayers: [],
  handedOverTo: null,
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'machine-record-'))
  try {
    await body(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('what was written is read by the next agent, and gone when it was removed', () =>
  withFolder(async (folder) => {
    await createMachineRecords(folder).write(record)
    const next = createMachineRecords(folder)
    assert.deepEqual(await next.readAll(), [record])
    await next.remove(webId)
    await next.remove(webId)
    assert.deepEqual(await next.readAll(), [])
  }))

test('no folder and a folder without a record are no machines', () =>
  withFolder(async (folder) => {
    assert.deepEqual(await createMachineRecords(join(folder, 'missing')).readAll(), [])
    await mkdir(join(folder, 'machines', webId), { recursive: true })
    await writeFile(join(folder, 'stray-file'), '')
    assert.deepEqual(await createMachineRecords(folder).readAll(), [])
  }))

test('a record that cannot be read is an error, and never passes for a machine that is not there', () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, 'machines', webId, 'order.json'), { recursive: true })
    await assert.rejects(createMachineRecords(folder).readAll(), { code: 'EISDIR' })
    await rm(join(folder, 'machines', webId), { recursive: true })
    await mkdir(join(folder, 'machines', webId), { recursive: true })
    await writeFile(join(folder, 'machines', webId, 'order.json'), '{"machine":')
    await assert.rejects(createMachineRecords(folder).readAll(), SyntaxError)
  }))
