/** Live migration on real guests whose disks only their host has: the disks go with them, whatever dies in the middle. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { findSecondWriters, readStamps } from '../recipes/tiny/read-stamps.ts'
import { waitForAnswer } from '../src/cli/demo/http-probe.ts'
import { keepConnection } from '../src/cli/demo/kept-connection.ts'
import type { TaskView, VmView } from '../src/model/api/views.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'

/** Enough for a mirror that can be cut in its middle. */
const dataMiB = 96

let laboratory: OpenLaboratory
let content: Buffer

before(async () => {
  laboratory = await openLaboratory('e2e-disks', ['--hosts', '2'])
  // What it writes all the time goes to the first of its further disks; the second one is full from the beginning.
  const disks = [
    { sizeMiB: 64, format: 'raw' },
    { sizeMiB: dataMiB, format: 'raw' },
  ] as const
  const { vm, task } = await laboratory.api.call('createVm', {
    body: { name: 'web', template: 'tiny', storage: 'local', host: 'h1', disks: [...disks], start: false },
  })
  await laboratory.untilTaskEnds(task.id)
  content = randomBytes(dataMiB * 2 ** 20)
  await writeFile(await diskOf(vm, 2), content)
  await laboratory.api.call('startVm', { params: { vm: 'web' }, body: {} })
  await waitForAnswer({ address: vm.address, name: 'web' }, { deadlineMs: 120_000 })
  await ask('POST', '/stamp?device=/dev/vdb&everyMs=5&host=web&epoch=1&incarnation=0')
})
after(() => laboratory?.[Symbol.asyncDispose]())

test('its disks go with a machine that writes all the time, with every byte, and an open connection goes on', async (t) => {
  const { address } = await look()
  const bootId = await bootIdOf(address)
  await using connection = await keepConnection(address)
  for (const host of ['h2', 'h1']) {
    const from = await look()
    const { task } = await laboratory.api.call('migrateVm', { params: { vm: 'web' }, body: {} })
    await laboratory.untilTaskEnds(task.id)
    t.diagnostic((await laboratory.api.call('getTask', { params: { task: task.id } })).message)
    const there = await look()
    assert.deepEqual([there.hostName, there.boundToHostId === from.boundToHostId], [host, false])
    await untilCleared(from)
  }
  const { echoes, longestWaitMs } = await connection.end()
  t.diagnostic(`${echoes} echoes over one connection, the longest wait ${Math.round(longestWaitMs)} ms`)
  assert.equal(await bootIdOf(address), bootId)
  await assertWhole(await look())
})

test('when the agent of the destination is killed while a disk is copied, it runs on with its own, and nothing is left', async () => {
  const vm = await look()
  const bootId = await bootIdOf(vm.address)
  const agent = (await laboratory.status()).hosts.find(({ name }) => name === 'h2')?.pids.agent
  assert.ok(agent)
  const { task } = await laboratory.api.call('migrateVm', { params: { vm: 'web' }, body: { host: 'h2' } })
  await untilTask(task.id, ({ message }) => /^\d+ of \d+ MiB of its disks/.test(message))
  process.kill(agent, 'SIGKILL')
  const ended = await untilTask(task.id, ({ endedAt }) => endedAt !== null)
  assert.equal(ended.state, 'failed', ended.message)
  await laboratory.untilHostIs('h2', 'online')
  assert.equal(await bootIdOf(vm.address), bootId)
  assert.deepEqual([(await look()).hostName, (await look()).disks], ['h1', vm.disks])
  await untilGone(await foldersOf(vm, 'h2'))
  await assertWhole(vm)
  const { task: again } = await laboratory.api.call('migrateVm', { params: { vm: 'web' }, body: { host: 'h2' } })
  await laboratory.untilTaskEnds(again.id)
  await assertWhole(await look())
})

test('a host is emptied of machines with local disks, and what has no room elsewhere says so', async () => {
  const { moves } = await laboratory.api.call('planMaintenance', { params: { host: 'h2' }, query: {} })
  assert.deepEqual(
    moves.map(({ vmName, way, toHostName }) => [vmName, way, toHostName]),
    [['web', 'migrate', 'h1']],
  )
  const refused = laboratory.api.call('migrateVm', { params: { vm: 'web' }, body: { storage: 'none' } })
  await assert.rejects(refused, /h1: it doesn't have the storage none/)
})

test('a disk moves to another storage while its machine writes to it, and back while it is stopped', async (t) => {
  const vm = await look()
  const bootId = await bootIdOf(vm.address)
  const moveTo = async (volume: string, storage: string) => {
    const { task } = await laboratory.api.call('moveVolume', { params: { volume }, body: { storage } })
    await laboratory.untilTaskEnds(task.id)
    t.diagnostic((await laboratory.api.call('getTask', { params: { task: task.id } })).message)
  }
  for (const volume of ['web:0', 'web:1', 'web:2']) await moveTo(volume, 'shared')
  assert.equal(await bootIdOf(vm.address), bootId)
  await untilGone(await foldersOf(vm, 'h2'))
  await assertWhole(await look())
  assert.equal((await look()).boundToHostId, null)
  const { task } = await laboratory.api.call('stopVm', { params: { vm: 'web' }, body: {} })
  await laboratory.untilTaskEnds(task.id)
  for (const volume of ['web:0', 'web:1', 'web:2']) await moveTo(volume, 'local')
  assert.notEqual((await look()).boundToHostId, null)
  await assertWhole(await look())
  await laboratory.api.call('startVm', { params: { vm: 'web' }, body: {} })
  assert.notEqual(await bootIdOf(vm.address), bootId)
})

function look(): Promise<VmView> {
  return laboratory.api.call('getVm', { params: { vm: 'web' } })
}

/** Every stamp that was ever written is there, once and in order, the full disk is as it was filled, and the cloud is in order. */
async function assertWhole(vm: VmView): Promise<void> {
  await delay(50)
  const stamps = await readStamps(await diskOf(vm, 1))
  assert.ok(stamps.length > 100)
  assert.deepEqual(findSecondWriters(stamps), [])
  assert.ok((await readFile(await diskOf(vm, 2))).equals(content), 'the full disk has another content')
  const { findings } = await laboratory.api.call('doctor', {})
  assert.deepEqual(findings, [])
}

async function diskOf(vm: VmView, index: number): Promise<string> {
  const { storages } = await laboratory.api.call('listStorages', {})
  const { volumeId = '', storageId } = vm.disks[index] ?? {}
  return join(storages.find(({ id }) => id === storageId)?.path ?? '', 'volumes', volumeId, 'disk.raw')
}

/** Where its disks would be on a host. */
async function foldersOf(vm: VmView, host: string): Promise<readonly string[]> {
  const { storages } = await laboratory.api.call('listStorages', {})
  const path = storages.find(({ hostName }) => hostName === host)?.path ?? ''
  return vm.disks.map(({ volumeId }) => join(path, 'volumes', volumeId))
}

async function untilCleared(vm: VmView): Promise<void> {
  await untilGone(await foldersOf(vm, vm.hostName ?? ''))
}

async function untilGone(folders: readonly string[]): Promise<void> {
  const givesUpAtMs = performance.now() + 20_000
  for (const folder of folders) {
    while ((await readdir(folder).catch(() => [])).length > 0) {
      assert.ok(performance.now() < givesUpAtMs, `${folder} is left`)
      await delay(50)
    }
  }
}

async function untilTask(taskId: string, isSo: (task: TaskView) => boolean): Promise<TaskView> {
  const givesUpAtMs = performance.now() + 40_000
  for (;;) {
    const task = await laboratory.api.call('getTask', { params: { task: taskId } })
    if (isSo(task)) return task
    assert.ok(performance.now() < givesUpAtMs && task.endedAt === null, `the move is ${task.state}: ${task.message}`)
    await delay(5)
  }
}

async function bootIdOf(address: string): Promise<string> {
  const { answer } = await waitForAnswer({ address, name: 'web' }, { deadlineMs: 20_000 })
  return answer.bootId
}

async function ask(method: string, path: string): Promise<void> {
  const { address } = await look()
  await new Promise<void>((resolve, reject) => {
    const asked = request({ host: address, port: 80, path, method, timeout: 10_000, agent: false }, (response) => {
      response.resume().once('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(path))))
    })
    asked.on('error', reject)
    asked.on('timeout', () => asked.destroy(new Error(`${path} was not answered`)))
    asked.end()
  })
}
