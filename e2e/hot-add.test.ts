/** A machine grows while it runs: its guest uses what comes without being touched, gives it back, and moves with it afterwards. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import type { VmView } from '../src/model/api/views.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'

let laboratory: OpenLaboratory

before(async () => {
  laboratory = await openLaboratory('e2e-hot-add', ['--hosts', '2'])
  await laboratory.deploy('web', { ha: true })
})
after(() => laboratory?.[Symbol.asyncDispose]())

const sizeSchema = z.looseObject({ cpus: z.number(), memoryMiB: z.number(), bootId: z.string() })

test('its guest uses processors and memory that come while it runs, and gives memory back', async (t) => {
  const before = await size()
  await set({ cpus: 2, memoryMiB: 384 })
  await until('the guest sees them', async () => {
    const { cpus, memoryMiB } = await size()
    return cpus === 2 && memoryMiB >= before.memoryMiB + 250
  })
  t.diagnostic(JSON.stringify(await size()))
  assert.deepEqual((await fitted()).pending, [])
  await set({ memoryMiB: 192, cpus: 1 })
  await until('the guest gave memory back', async () => (await size()).memoryMiB <= before.memoryMiB + 70)
  // An emulated processor stays until the next start.
  const [left, ...more] = (await fitted()).pending
  assert.deepEqual([left?.what, left?.when, more.length], ['cpus', 'next-start', 0])
  await assert.rejects(set({ cpus: 3 }), /the host has 2 processors; nor would another host have room/)
  await set({ cpus: 2, memoryMiB: 384 })
  assert.deepEqual((await fitted()).pending, [])
  assert.equal((await size()).bootId, before.bootId)
})

test('a disk comes, grows and goes, and a card comes', async () => {
  const begun = await laboratory.api.call('attachDisk', { params: { vm: 'web' }, body: { sizeMiB: 64 } })
  await laboratory.untilTaskEnds(begun.task.id)
  assert.equal(await sectors('vdb'), 64 * 2048)
  await laboratory.api.call('resizeDisk', { params: { vm: 'web', disk: '1' }, body: { sizeMiB: 96 } })
  await until('the disk has grown', async () => (await sectors('vdb')) === 96 * 2048)
  const smaller = laboratory.api.call('resizeDisk', { params: { vm: 'web', disk: '1' }, body: { sizeMiB: 32 } })
  await assert.rejects(smaller, /not made smaller/)
  const pool = { subnet: '10.77.0.0/24' }
  await laboratory.api.call('createNetwork', { body: { name: 'side', ...pool } })
  await laboratory.api.call('addNic', { params: { vm: 'web' }, body: { network: 'side' } })
  assert.deepEqual((await fitted()).pending, [])
  assert.match(await laboratory.inGuest('web', 'ls /sys/class/net'), /eth1|enp/)
})

test('with all that came it moves, with every byte of its memory', async (t) => {
  const before = await look()
  const { bootId } = await size()
  await guest('POST', '/load?mib=200&rate=20')
  const { task } = await laboratory.api.call('migrateVm', { params: { vm: 'web' }, body: {} })
  await laboratory.untilTaskEnds(task.id)
  const moved = await fitted()
  const { message } = await laboratory.api.call('getTask', { params: { task: task.id } })
  t.diagnostic(message)
  assert.match(message, /stop-and-copy/)
  assert.notEqual(moved.hostName, before.hostName)
  assert.match(await guest('GET', '/load/check'), /"ok":true/)
  await guest('DELETE', '/load')
  const after = await size()
  assert.deepEqual([after.cpus, after.bootId], [2, bootId])
  assert.equal(await sectors('vdb'), 96 * 2048)
  const gone = await laboratory.api.call('detachDisk', { params: { vm: 'web', disk: '1' }, query: { delete: 'true' } })
  await laboratory.untilTaskEnds(gone.task.id)
  assert.equal((await look()).disks.length, 1)
})

test('limits are in force', async (t) => {
  await set({ limits: { cpuPercent: 40, diskMiBPerSecond: 4, networkMbitPerSecond: 8 } })
  assert.deepEqual((await fitted()).pending, [])
  const beganAt = performance.now()
  await laboratory.inGuest('web', 'dd if=/dev/vda of=/dev/null bs=1M count=8 iflag=direct')
  const mibPerSecond = 8_000 / (performance.now() - beganAt)
  t.diagnostic(`${mibPerSecond.toFixed(1)} MiB/s from a disk that is limited to 4`)
  assert.ok(mibPerSecond < 7)
  const { status } = await look()
  const cpu = await cpuLimitOf(status.pid ?? 0)
  assert.equal(cpu, 0.4)
})

type Change = {
  readonly cpus?: number
  readonly memoryMiB?: number
  readonly limits?: Partial<VmView['limits']>
}

async function set(change: Change): Promise<void> {
  await laboratory.api.call('changeVm', { params: { vm: 'web' }, body: change })
}

function look(): Promise<VmView> {
  return laboratory.api.call('getVm', { params: { vm: 'web' } })
}

/** As soon as nothing is under way any more. */
async function fitted(): Promise<VmView> {
  await until('nothing is under way', async () => {
    const { pending, status } = await look()
    return (
      status.state === 'running' && (status.hardware ?? null) !== null && pending.every(({ when }) => when !== 'soon')
    )
  })
  return look()
}

async function size() {
  return sizeSchema.parse(JSON.parse(await guest('GET', '/')))
}

async function sectors(disk: string): Promise<number> {
  return Number(await laboratory.inGuest('web', `cat /sys/block/${disk}/size`))
}

/** Processors, by whichever hierarchy this kernel has its cpu controller in. */
async function cpuLimitOf(pid: number): Promise<number> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).split('\n')
  const old = lines.find((line) => /:cpu(?:,|:)/.test(line))?.split(':')[2]
  const now = lines.find((line) => line.startsWith('0::'))?.slice(3)
  const v2 = await readFile(`/sys/fs/cgroup${now}/cpu.max`, 'utf8').catch(() => undefined)
  const [quota, period] =
    v2?.split(' ') ??
    (await Promise.all(
      ['cfs_quota_us', 'cfs_period_us'].map((name) => readFile(`/sys/fs/cgroup/cpu${old}/cpu.${name}`, 'utf8')),
    ))
  return Number(quota) / Number(period)
}

async function guest(method: string, path: string): Promise<string> {
  const { address } = await look()
  return new Promise((resolve, reject) => {
    const asked = request({ host: address, path, method, timeout: 20_000 }, (answer) => {
      let body = ''
      answer.setEncoding('utf8').on('data', (text: string) => (body += text))
      answer.on('end', () => resolve(body))
    })
    asked.on('error', reject)
    asked.on('timeout', () => asked.destroy(new Error(`${method} ${path} was not answered`)))
    asked.end()
  })
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const givesUpAt = performance.now() + 30_000
  while (!(await isSo())) {
    if (performance.now() > givesUpAt)
      throw new Error(`${what}: not within 30 s; ${JSON.stringify((await look()).pending)}`)
    await delay(50)
  }
}
