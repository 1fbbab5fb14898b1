/**
 * Recovery from memory on real guests: a machine that fails in whatever way goes on as itself, without a boot, here or on another host.
 * CLONES=40 compares forty machines from one image; eight are part of `npm test`.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ask, type ProbeAnswer, waitForAnswer } from '../src/cli/demo/http-probe.ts'
import type { VmView } from '../src/model/api/views.ts'
import { isThorough } from './is-thorough.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'

let laboratory: OpenLaboratory
const recoverWithinMs = 30_000
const clones = Number(process.env['CLONES'] ?? 8)

before(async () => {
  laboratory = await openLaboratory('e2e-memory', ['--hosts', '3', '--power-fence', '--post-delay', '500'])
  await laboratory.deploy('web', { ha: true, recovery: { mode: 'warm' }, disks: 1, drillable: true })
  await laboratory.untilReady('web')
})
after(() => laboratory?.[Symbol.asyncDispose]())

test('a machine whose QEMU is killed goes on as itself, without a boot, and its data volume is mounted again', async () => {
  const { vm, answer } = await look('web')
  await count(vm)
  const counted = await count(vm)
  assert(vm.status.pid)
  process.kill(vm.status.pid, 'SIGKILL')
  const again = await laboratory.untilPid('web', vm.status.pid)
  const { answer: after } = await waitForAnswer(probeOf(vm), { deadlineMs: recoverWithinMs })
  assert.equal(after.bootId, answer.bootId)
  assert.equal(after.address, vm.address)
  assert.equal(again.status.recovery?.startedBy, 'resume')
  assert.equal(again.status.epoch, vm.status.epoch)
  await laboratory.untilReady('web')
  assert.equal(await count(vm), counted + 1)
})

test('a resumed machine draws other random numbers than its image did, and its clock is right', async () => {
  const seen = new Set<string>()
  for (let life = 0; life < (isThorough ? 4 : 2); life += 1) {
    const { vm } = await look('web')
    assert(vm.status.pid)
    process.kill(vm.status.pid, 'SIGKILL')
    await laboratory.untilPid('web', vm.status.pid)
    await waitForAnswer(probeOf(vm), { deadlineMs: recoverWithinMs })
    const numbers = await random(vm)
    assert(!seen.has(numbers), 'a random number came twice')
    seen.add(numbers)
    await laboratory.untilReady('web')
    const { answer } = await look('web')
    assert(Math.abs(answer.timeMs - Date.now()) < 5_000, `the clock is ${Date.now() - answer.timeMs} ms behind`)
  }
})

for (const kind of ['panic', 'wrong-answers', 'freeze', ...(isThorough ? (['cut-network'] as const) : [])] as const) {
  test(`a drill of kind ${kind} ends with the machine serving, and is entered apart`, async () => {
    const { vm, answer } = await look('web')
    const { task } = await laboratory.api.call('drillVm', { params: { vm: 'web' }, body: { kind } })
    await laboratory.untilTaskEnds(task.id)
    const { answer: after } = await waitForAnswer(probeOf(vm), { deadlineMs: recoverWithinMs })
    assert.equal(after.bootId, answer.bootId)
    const { outages } = await laboratory.api.call('listOutages', { query: { drill: task.id } })
    assert.equal(outages.length, 1)
    assert.equal(outages[0]?.service, vm.id)
    await laboratory.untilReady('web')
  })
}

test('a machine whose host dies goes on as itself on the host that was chosen beforehand, without a boot', async () => {
  const { vm, answer } = await look('web')
  const counted = await count(vm)
  const { hostName } = vm
  assert(hostName !== null && vm.standbyHostName !== null)
  await laboratory.lab(['power-off', hostName])
  const moved = await laboratory.untilOn('web', vm.standbyHostName)
  const { answer: after } = await waitForAnswer(probeOf(vm), { deadlineMs: recoverWithinMs })
  assert.equal(after.bootId, answer.bootId)
  assert.equal(moved.status.recovery?.startedBy, 'resume')
  assert.equal(moved.placement?.lastRecovery?.proof.kind, 'power')
  await laboratory.lab(['power-on', hostName])
  await laboratory.untilHostIs(hostName, 'online')
  await laboratory.untilReady('web')
  assert.equal(await count(vm), counted + 1)
})

test('checkpoints are taken while the machine works; what it had in memory at the newest one is there after a failure', async () => {
  await laboratory.deploy('app', { ha: true, recovery: { mode: 'checkpoint', everySeconds: 10, keep: 2 } })
  const first = await laboratory.untilReady('app')
  const { vm, answer } = await look('app')
  const requests = answer.requests
  await laboratory.untilImageIsNot('app', first.status.recovery?.image?.imageId ?? '')
  await laboratory.untilReady('app')
  const { vm: before } = await look('app')
  assert(before.status.pid)
  process.kill(before.status.pid, 'SIGKILL')
  await laboratory.untilPid('app', before.status.pid)
  const { answer: after } = await waitForAnswer(probeOf(vm), { deadlineMs: recoverWithinMs })
  assert.equal(after.bootId, answer.bootId)
  assert(after.requests > requests, 'it remembers requests that came after the first image')
})

test('clones from memory are machines of their own: no name, address, machine id or random number is there twice', async () => {
  const { task: warming } = await laboratory.api.call('warmTemplate', { params: { template: 'tiny' }, body: {} })
  await laboratory.untilTaskEnds(warming.id)
  const { names, task } = await laboratory.api.call('cloneTemplate', {
    params: { template: 'tiny' },
    body: { count: clones, name: 'c' },
  })
  await laboratory.untilTaskEnds(task.id)
  const answers = []
  const numbers: string[] = []
  for (const name of names) {
    const vm = await laboratory.api.call('getVm', { params: { vm: name } })
    answers.push((await waitForAnswer(probeOf(vm), { deadlineMs: recoverWithinMs })).answer)
    numbers.push(await random(vm))
  }
  for (const field of ['name', 'address', 'mac', 'machineId', 'random'] as const)
    assert.equal(new Set(answers.map((answer) => answer[field])).size, names.length, `a ${field} is there twice`)
  assert.equal(new Set(numbers).size, names.length)
  assert.deepEqual(answers.map(({ name }) => name).sort(), [...names].sort())
  await Promise.all(
    names.map(async (name) => {
      const { task: deletion } = await laboratory.api.call('deleteVm', {
        params: { vm: name },
        query: { force: 'true' },
      })
      await laboratory.untilTaskEnds(deletion.id)
    }),
  )
})

test('afterwards the doctor finds nothing, and the ledger holds what its raw entries say', async () => {
  await delay(2_000)
  const { findings } = await laboratory.api.call('doctor', {}, { timeoutMs: 30_000 })
  assert.deepEqual(findings, [])
})

async function look(name: string): Promise<{ readonly vm: VmView; readonly answer: ProbeAnswer }> {
  const vm = await laboratory.api.call('getVm', { params: { vm: name } })
  const { answer } = await waitForAnswer(probeOf(vm), { deadlineMs: recoverWithinMs })
  return { vm, answer }
}

function probeOf(vm: VmView) {
  return { address: vm.address, name: vm.name }
}

async function random({ address }: VmView): Promise<string> {
  return (await fetch(`http://${address}/random?bytes=32`, { headers: { connection: 'close' } })).text()
}

/** Counts one up in a file on the machine's data volume, durably. */
async function count({ address }: VmView): Promise<number> {
  const text = await (
    await fetch(`http://${address}/volumes/0/count`, { method: 'POST', headers: { connection: 'close' } })
  ).text()
  const found = /(\d+)\s*\}?\s*$/.exec(text)?.[1]
  assert(found !== undefined, `the machine answered ${text}`)
  assert(await ask({ address, name: 'web' }, 5_000))
  return Number(found)
}
