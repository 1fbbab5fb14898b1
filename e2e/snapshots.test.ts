/** Snapshots of real guests: what a machine had in memory and on its disks is there again, whatever is killed meanwhile, and nothing is left. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type ProbeAnswer, waitForAnswer } from '../src/cli/demo/http-probe.ts'
import type { SnapshotView } from '../src/model/api/snapshot-routes.ts'
import type { TaskView, VmView } from '../src/model/api/views.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'

const run = promisify(execFile)
const answersWithinMs = 30_000
/** On the machine's second disk. */
const disk = '/dev/vdb'
const onDisks = `cat /data/mark; dd if=${disk} bs=16 count=1 2>/dev/null | tr -d ' '`
let laboratory: OpenLaboratory
/** Versions of templates, which outlive the laboratory where nobody deletes them. */
const made: string[] = []

before(async () => {
  laboratory = await openLaboratory('e2e-snap', ['--hosts', '1', '--post-delay', '300'])
  await laboratory.deploy('web', { disks: 1, memoryMiB: 128 })
})
after(async () => {
  const leave = async (template: string) => {
    await deleteVm('shop', { force: 'true', protectedToo: 'true' })
    await laboratory.api.call('deleteTemplate', { params: { template } })
  }
  for (const template of made) await leave(template).catch(() => undefined)
  await laboratory?.[Symbol.asyncDispose]()
})

test('a machine returns to a snapshot with its memory and all its disks as they were, without a boot', async () => {
  await write('before')
  await take('start')
  const { bootId } = await answer()
  await write('after')
  assert.deepEqual(await contents(), ['after', 'after', 'after'])
  await revert('start')
  const again = await answer()
  assert.equal(again.bootId, bootId)
  assert.deepEqual(await contents(), ['before', 'before', 'before'])
  assert(Math.abs(again.timeMs - Date.now()) < 5_000, `its clock is ${Date.now() - again.timeMs} ms behind`)
})

test('a disk snapshot finds the file systems in order; a return to it boots, and keeps the present if that is wanted', async () => {
  await write('disks')
  const snapshot = await take('disks', { kind: 'disk' })
  assert.equal(snapshot.consistency, 'guest-frozen')
  const { bootId } = await answer()
  await write('later')
  await revert('disks', 'kept')
  assert.notEqual((await answer()).bootId, bootId)
  assert.deepEqual((await contents()).slice(1), ['disks', 'disks'])
  assert.equal(await secondDiskAt('kept'), 'later')
})

test('snapshots in the middle of the chain are let go while the machine writes, and no byte is lost', async () => {
  for (const name of ['one', 'two', 'three']) {
    await write(name)
    await take(name, { kind: 'disk' })
  }
  const writer = 'i=0; while [ ! -e /run/stop ]; do i=$((i+1)); echo $i > /data/count; sync; done; echo $i > /run/count'
  await inGuest(`setsid sh -c '${writer}' < /dev/null > /dev/null 2>&1 &`)
  const layers = await layerCount()
  await remove('two')
  await inGuest('touch /run/stop; until [ -e /run/count ]; do sleep 0.1; done')
  assert.equal(await inGuest('cat /data/count'), await inGuest('cat /run/count'))
  assert((await layerCount()) < layers, 'nothing was merged')
  for (const name of ['one', 'three']) assert.equal(await secondDiskAt(name), name)
})

test('an agent that is killed in the middle of a merge comes back, and the next one ends it; the content is the same', async () => {
  await take('big', { kind: 'disk' })
  await inGuest(`for i in $(seq 24); do cat /bin/busybox; done | dd of=${disk} bs=64k seek=128 conv=fsync`)
  const sum = await sumOfSecondDisk()
  await take('bigger', { kind: 'disk' })
  const layers = await layerCount()
  const { task } = await laboratory.api.call('deleteSnapshot', { params: { vm: 'web', snapshot: 'bigger' } })
  await untilMerging()
  process.kill(await agentPid(), 'SIGKILL')
  // What is left of it in the machine keeps nobody from anything.
  await take('meanwhile', { kind: 'disk' })
  await untilEnded(task)
  await remove('meanwhile')
  assert((await layerCount()) < layers, 'nothing was merged')
  assert.equal(await inGuest(`md5sum < ${disk}`), `${sum}  -`)
  // What its process knows of the merge goes with it: all of it has to be on the disk.
  assert.equal(await sumOfSecondDisk(), sum)
  await write('memory')
  await take('awake')
  await power('killVm')
  await checkDisks()
})

test('of a machine that is off the disks are kept, returned to and merged, too', async () => {
  await take('off', { kind: 'disk' })
  await power('startVm')
  await answer()
  await power('killVm')
  await revert('three')
  assert.equal(await secondDisk(), 'three')
  assert.equal(await secondDiskAt('off'), 'memory')
  for (const name of ['off', 'big', 'one']) await remove(name)
  await checkDisks()
  assert.equal(await secondDiskAt('three'), 'three')
})

test('a machine that is off goes on from a memory', async () => {
  await revert('awake')
  assert.deepEqual(await contents(), ['memory', 'memory', 'memory'])
})

test('a clone begins with the disks of a machine that runs, is another machine, and neither sees what the other one writes', async () => {
  await write('cloned')
  await clone('twin', { start: true })
  const [web, twin] = [await answer(), await answer('twin')]
  assert.equal(twin.name, 'twin')
  assert.notEqual(twin.mac, web.mac)
  await until('it has a machine id of its own', async () => (await answer('twin')).machineId !== web.machineId)
  assert.equal(await laboratory.inGuest('twin', onDisks), 'cloned\ncloned')
  await write('later')
  await laboratory.inGuest('twin', 'echo twin > /data/mark; sync')
  assert.equal(await laboratory.inGuest('web', onDisks), 'later\nlater')
  assert.equal(await laboratory.inGuest('twin', onDisks), 'twin\ncloned')
  await clone('whole', { full: true, snapshot: 'three' })
})

test('a set that is cloned into isolation asks its own members under the addresses of their origins', async () => {
  const body = { vms: ['twin', 'web'], isolated: 'apart', suffix: '-two', start: true }
  const { task, names, tag } = await laboratory.api.call('cloneSet', { body })
  await laboratory.untilTaskEnds(task.id)
  assert.deepEqual(names, ['twin-two', 'web-two'])
  const { address } = await look()
  const copy = await look('web-two')
  assert.deepEqual([copy.address, copy.tags, copy.macAddress === (await look()).macAddress], [address, [tag], false])
  const request = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | /bin/busybox nc -w 3 ${address} 80 || echo nobody`
  const asked = () => laboratory.inGuest('twin-two', request)
  await until('it is told which machine it is', async () => (await asked()).includes('"name":"web-two"'))
  assert.equal((await answer()).name, 'web')
  for (const name of names) await deleteVm(name, { force: 'true', protectedToo: 'true' })
  await laboratory.api.call('deleteNetwork', { params: { network: 'apart' } })
  await power('killVm', 'twin')
  await write('memory')
})

test('a template of a machine that runs has what is on its disk; a machine of it is another one', async () => {
  await write('shaped')
  const body = { name: 'e2e-snap', vm: 'web', rootOnly: true }
  const { task, version: template } = await laboratory.api.call('createTemplate', { body })
  made.push(template)
  await laboratory.untilTaskEnds(task.id)
  const { madeFrom, vmNames } = await laboratory.api.call('getTemplate', { params: { template } })
  assert.deepEqual([madeFrom?.vmName, madeFrom?.consistency, vmNames], ['web', 'guest-frozen', []])
  const begun = await laboratory.api.call('createVm', { body: { name: 'shop', template, start: true } })
  await laboratory.untilTaskEnds(begun.task.id)
  const [web, shop] = [await answer(), await answer('shop')]
  assert.deepEqual([shop.name, shop.mac === web.mac], ['shop', false])
  await until('it has a machine id of its own', async () => (await answer('shop')).machineId !== web.machineId)
  assert.equal(await laboratory.inGuest('shop', 'cat /data/mark'), 'shaped')
  await assert.rejects(laboratory.api.call('deleteTemplate', { params: { template } }), /is the template of shop/)
  await deleteVm('shop', { force: 'true', protectedToo: 'true' })
  await laboratory.api.call('deleteTemplate', { params: { template } })
  made.length = 0
  await write('memory')
})

test('an upgrade that breaks a service is taken back by itself, and the outage is in the ledger', async () => {
  await until('it serves', async () => (await look()).status.recovery?.service === 'correct')
  const { bootId } = await answer()
  const { task } = await laboratory.api.call('beginChange', {
    params: { vm: 'web' },
    body: { auto: true, forSeconds: 120, checks: ['test -e /data/mark'] },
  })
  await laboratory.untilTaskEnds(task.id)
  await write('upgraded')
  await guest('POST', '/fail?kind=wrong')
  await until('the change is over', async () => {
    const { change } = await laboratory.api.call('getChange', { params: { vm: 'web' } })
    return change === null
  })
  assert.equal((await answer()).bootId, bootId)
  assert.deepEqual(await contents(), ['memory', 'memory', 'memory'])
  const { id } = await look()
  await until('the outage is over and in the ledger', async () => {
    const { outages } = await laboratory.api.call('listOutages', { query: { service: id } })
    return outages.some(({ durationMs }) => durationMs !== null && durationMs >= 5_000)
  }).catch(async (error: unknown) => {
    const { entries } = await laboratory.api.call('listLedgerEntries', { params: { service: id } })
    throw new Error(JSON.stringify(entries.slice(-40)), { cause: error })
  })
})

test('a protected snapshot is not deleted, nor its machine; afterwards nothing is left of either', async () => {
  await take('keep', { kind: 'disk', protected: true })
  const refused = [
    laboratory.api.call('deleteSnapshot', { params: { vm: 'web', snapshot: 'keep' } }),
    laboratory.api.call('deleteVm', { params: { vm: 'web' }, query: { force: 'true' } }),
  ]
  for (const call of refused) await assert.rejects(call, /protect/)
  const { findings } = await laboratory.api.call('doctor', {}, { timeoutMs: 30_000 })
  assert.deepEqual(findings, [])
  const query = { force: 'true', protectedToo: 'true' }
  const { length: layers } = await layerPaths('whole')
  assert.equal(layers, 2, 'a full clone is one file for each disk')
  await deleteVm('web', query)
  await checkDisks('whole')
  await power('startVm', 'twin')
  await answer('twin')
  assert.equal(await laboratory.inGuest('twin', onDisks), 'twin\ncloned')
  for (const name of ['twin', 'whole']) await deleteVm(name, query)
  assert.deepEqual(await volumeFolders(), [])
})

async function clone(
  name: string,
  wishes: { readonly start?: boolean; readonly full?: boolean; readonly snapshot?: string },
): Promise<void> {
  const { task } = await laboratory.api.call('cloneDisks', { params: { vm: 'web' }, body: { name, ...wishes } })
  await laboratory.untilTaskEnds(task.id)
}

async function deleteVm(vm: string, query: { readonly force: string; readonly protectedToo: string }): Promise<void> {
  await laboratory.untilTaskEnds((await laboratory.api.call('deleteVm', { params: { vm }, query })).task.id)
}

type TakeWishes = { readonly kind?: 'disk' | 'memory'; readonly protected?: boolean }

async function take(name: string, wishes: TakeWishes = {}): Promise<SnapshotView> {
  const body = { name, ...wishes }
  const { task } = await laboratory.api.call('createSnapshot', { params: { vm: 'web' }, body })
  await laboratory.untilTaskEnds(task.id)
  return laboratory.api.call('getSnapshot', { params: { vm: 'web', snapshot: name } })
}

async function revert(snapshot: string, keepAs?: string): Promise<void> {
  const body = { snapshot, ...(keepAs === undefined ? {} : { keepAs }) }
  const { task } = await laboratory.api.call('revertVm', { params: { vm: 'web' }, body })
  await laboratory.untilTaskEnds(task.id)
}

async function remove(snapshot: string): Promise<void> {
  const { task } = await laboratory.api.call('deleteSnapshot', { params: { vm: 'web', snapshot } })
  await laboratory.untilTaskEnds(task.id)
}

async function power(verb: 'startVm' | 'stopVm' | 'killVm', vm = 'web'): Promise<void> {
  const { task } = await laboratory.api.call(verb, { params: { vm } })
  await laboratory.untilTaskEnds(task.id)
}

/** In memory, on the root disk, and on the other disk. */
async function write(text: string): Promise<void> {
  await answer()
  await inGuest(
    `echo ${text} > /run/mark; echo ${text} > /data/mark; sync; printf %-16s ${text} | dd of=${disk} bs=512 conv=sync,notrunc,fsync`,
  )
}

async function contents(): Promise<readonly string[]> {
  await answer()
  const from = `cat /run/mark 2>/dev/null || echo; cat /data/mark; dd if=${disk} bs=16 count=1 2>/dev/null`
  const [memory = '', root = '', second = ''] = (await inGuest(from)).split('\n')
  return [memory, root, second].map((text) => text.trim())
}

function look(vm = 'web'): Promise<VmView> {
  return laboratory.api.call('getVm', { params: { vm } })
}

async function answer(vm = 'web'): Promise<ProbeAnswer> {
  const { address, name } = await look(vm)
  return (await waitForAnswer({ address, name }, { deadlineMs: answersWithinMs })).answer
}

async function guest(method: string, path: string): Promise<void> {
  await fetch(`http://${(await look()).address}${path}`, { method, headers: { connection: 'close' } })
}

const inGuest = (script: string) => laboratory.inGuest('web', script)

async function agentPid(): Promise<number> {
  const pid = (await laboratory.status()).hosts[0]?.pids.agent
  assert.ok(pid)
  return pid
}

async function volumesFolder(vm = 'web'): Promise<string> {
  const { storages } = await laboratory.api.call('listStorages', {})
  const [first] = (await look(vm)).disks
  const storage = storages.find(({ id }) => id === first?.storageId)
  assert.ok(storage)
  return join(storage.path, 'volumes')
}

let knownVolumes = ''
async function volumeFolders(): Promise<readonly string[]> {
  return (await readdir(knownVolumes)).filter((name) => name.startsWith('vol-'))
}

/** Files that hold what is on the machine's disks. */
async function layerPaths(vm = 'web'): Promise<readonly string[]> {
  knownVolumes = await volumesFolder(vm)
  const paths = []
  for (const { volumeId } of (await look(vm)).disks) {
    const folder = join(knownVolumes, volumeId)
    for (const name of await readdir(folder)) if (name.endsWith('.qcow2')) paths.push(join(folder, name))
  }
  return paths
}

async function layerCount(): Promise<number> {
  return (await layerPaths()).length
}

/** What a snapshot has, read from its layer beside whatever runs. */
async function secondDiskAt(name: string): Promise<string> {
  const { disks } = await laboratory.api.call('getSnapshot', { params: { vm: 'web', snapshot: name } })
  return firstWordOf(`${disks[1]?.layerId ?? 'disk'}.qcow2`)
}

async function secondDisk(): Promise<string> {
  return firstWordOf(await currentOfSecondDisk())
}

async function firstWordOf(layer: string): Promise<string> {
  const path = join(laboratory.folder, 'first-sector')
  await run('qemu-img', [
    'dd',
    '-U',
    '-f',
    'qcow2',
    '-O',
    'raw',
    'bs=512',
    'count=1',
    `if=${await pathOnSecondDisk(layer)}`,
    `of=${path}`,
  ])
  return (await readFile(path, 'latin1')).slice(0, 16).trim()
}

/** Of all that is durable of it, whatever its process still keeps to itself. */
async function sumOfSecondDisk(): Promise<string> {
  const path = join(laboratory.folder, 'whole-disk')
  await run('qemu-img', ['convert', '-U', '-O', 'raw', await pathOnSecondDisk(await currentOfSecondDisk()), path])
  return createHash('md5')
    .update(await readFile(path))
    .digest('hex')
}

/** The file that it is written to. */
async function currentOfSecondDisk(): Promise<string> {
  const [first = ''] = (await readFile(await pathOnSecondDisk('current'), 'utf8')).split('\n')
  return first
}

async function pathOnSecondDisk(name: string): Promise<string> {
  const [, second] = (await look()).disks
  assert.ok(second)
  return join(await volumesFolder(), second.volumeId, name)
}

async function checkDisks(vm = 'web'): Promise<void> {
  for (const path of await layerPaths(vm)) await run('qemu-img', ['check', '-U', '-q', path])
}

async function untilMerging(): Promise<void> {
  await until('layers are being merged', async () => {
    const { tasks } = await laboratory.api.call('listTasks', {})
    return tasks.some(
      ({ kind, endedAt, message }) => kind === 'vm.snapshot-delete' && endedAt === null && message.includes('merge'),
    )
  })
}

async function untilEnded({ id }: TaskView): Promise<void> {
  await until(
    'the task has ended',
    async () => (await laboratory.api.call('getTask', { params: { task: id } })).endedAt !== null,
  )
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const givesUpAtMs = performance.now() + 60_000
  while (!(await isSo())) {
    assert.ok(performance.now() < givesUpAtMs, `it did not come to be that ${what}`)
    await delay(50)
  }
}
