/** Live migration on real guests: a machine that works moves with its memory and its connections, and whatever dies in the middle, one runs. */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { waitForAnswer } from '../src/cli/demo/http-probe.ts'
import { keepConnection } from '../src/cli/demo/kept-connection.ts'
import type { TaskView, VmView } from '../src/model/api/views.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'

let laboratory: OpenLaboratory

before(async () => {
  laboratory = await openLaboratory('e2e-migrate', ['--hosts', '3'])
  await laboratory.deploy('web', { ha: true })
})
after(() => laboratory?.[Symbol.asyncDispose]())

test('a machine that changes its memory all the time moves with every byte of it, and an open connection goes on', async (t) => {
  const vm = await look()
  const { answer } = await waitForAnswer({ address: vm.address, name: 'web' }, { deadlineMs: 10_000 })
  await guest(vm, 'POST', '/load?mib=32&rate=30')
  await using connection = await keepConnection(vm.address)
  for (let round = 0; round < 2; round += 1) {
    const from = await look()
    const task = await move()
    t.diagnostic(task.message)
    const moved = await look()
    assert.notEqual(moved.hostName, from.hostName)
    assert.ok((moved.placement?.epoch ?? 0) > (from.placement?.epoch ?? 0))
  }
  const { answer: later } = await waitForAnswer({ address: vm.address, name: 'web' }, { deadlineMs: 10_000 })
  assert.equal(later.bootId, answer.bootId)
  const check = await guest(vm, 'GET', '/load/check')
  t.diagnostic(check)
  assert.match(check, /"ok":true/)
  const { echoes, longestWaitMs } = await connection.end()
  t.diagnostic(`${echoes} echoes over one connection, the longest wait ${Math.round(longestWaitMs)} ms`)
  assert.ok(echoes > 20)
  await guest(vm, 'DELETE', '/load')
})

test('what cannot be moved is refused with the reason', async () => {
  const vm = await look()
  const ask = (body: { host?: string }) => laboratory.api.call('migrateVm', { params: { vm: 'web' }, body })
  await assert.rejects(ask({ host: vm.hostName ?? '' }), /runs on h\d already/)
  const { task } = await ask({})
  await assert.rejects(ask({}), /is being moved/)
  await laboratory.untilTaskEnds(task.id)
})

test('when the host that it goes to loses its power in the middle, it runs on where it was', async () => {
  const vm = await look()
  const { answer } = await waitForAnswer({ address: vm.address, name: 'web' }, { deadlineMs: 10_000 })
  await guest(vm, 'POST', '/load?mib=48&rate=0')
  const destination = ['h1', 'h2', 'h3'].find((name) => name !== vm.hostName) ?? ''
  const { task } = await laboratory.api.call('migrateVm', { params: { vm: 'web' }, body: { host: destination } })
  await untilSending(task.id)
  await laboratory.lab(['power-off', destination])
  assert.equal((await untilEnded(task.id)).state, 'failed')
  await guest(vm, 'DELETE', '/load').catch(() => undefined)
  const { answer: later } = await waitForAnswer({ address: vm.address, name: 'web' }, { deadlineMs: 20_000 })
  assert.equal(later.bootId, answer.bootId)
  assert.equal((await look()).hostName, vm.hostName)
  await laboratory.lab(['power-on', destination])
  await laboratory.untilHostIs(destination, 'online')
})

test('a machine that recovers from memory moves with its data volume, and is as ready to recover where it is then', async (t) => {
  await laboratory.deploy('shop', { ha: true, recovery: { mode: 'warm' }, disks: 1 })
  const vm = await laboratory.untilReady('shop')
  const { answer } = await waitForAnswer({ address: vm.address, name: 'shop' }, { deadlineMs: 10_000 })
  await guest(vm, 'POST', '/volumes/0/count')
  // To the very host that would take it over.
  const standby = vm.standbyHostName ?? ''
  t.diagnostic((await move('shop', standby)).message)
  assert.match(await guest(vm, 'POST', '/volumes/0/count'), /"count":2/)
  const moved = await laboratory.untilReady('shop')
  assert.equal(moved.hostName, standby)
  assert.notEqual(moved.standbyHostName, standby)
  assert.ok(moved.status.pid)
  process.kill(moved.status.pid, 'SIGKILL')
  await laboratory.untilPid('shop', moved.status.pid)
  const { answer: later } = await waitForAnswer({ address: vm.address, name: 'shop' }, { deadlineMs: 20_000 })
  assert.equal(later.bootId, answer.bootId)
  const { findings } = await laboratory.api.call('doctor', {})
  assert.deepEqual(findings, [])
})

async function look(): Promise<VmView> {
  return laboratory.api.call('getVm', { params: { vm: 'web' } })
}

async function move(vm = 'web', host?: string): Promise<TaskView> {
  const body = host === undefined ? {} : { host }
  const { task } = await laboratory.api.call('migrateVm', { params: { vm }, body })
  await laboratory.untilTaskEnds(task.id)
  return laboratory.api.call('getTask', { params: { task: task.id } })
}

async function untilSending(taskId: string): Promise<void> {
  await untilTask(taskId, ({ steps }) => steps.find(({ name }) => name === 'move')?.state !== 'pending')
}

function untilEnded(taskId: string): Promise<TaskView> {
  return untilTask(taskId, ({ endedAt }) => endedAt !== null)
}

async function untilTask(taskId: string, isSo: (task: TaskView) => boolean): Promise<TaskView> {
  const givesUpAtMs = performance.now() + 40_000
  for (;;) {
    const task = await laboratory.api.call('getTask', { params: { task: taskId } })
    if (isSo(task)) return task
    assert.ok(performance.now() < givesUpAtMs, `the move is ${task.state}: ${task.message}`)
    await delay(5)
  }
}

function guest(vm: VmView, method: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: vm.address, port: 80, path, method, timeout: 10_000, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve(text))
    })
    asked.on('error', reject)
    asked.on('timeout', () => asked.destroy(new Error(`${path} was not answered`)))
    asked.end()
  })
}
