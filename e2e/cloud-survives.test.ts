/** The promise as a whole, on real guests: machines answer, lose their process, their agent, their controller and their host, and answer. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ask, type ProbeAnswer, waitForAnswer } from '../src/cli/demo/http-probe.ts'
import type { VmView } from '../src/model/api/views.ts'
import { isThorough } from './is-thorough.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'

let laboratory: OpenLaboratory
const bootDeadlineMs = 120_000
/** A guest that is merely short of processor time on a busy machine has not missed an answer. */
const patienceMs = 3_000

before(async () => {
  laboratory = await openLaboratory('e2e-cloud', ['--hosts', '3'])
  await Promise.all([laboratory.deploy('web', { ha: true }), laboratory.deploy('plain')])
})
after(() => laboratory?.[Symbol.asyncDispose]())

test('a machine whose QEMU is killed is restarted on the spot, under the next incarnation of its epoch', async () => {
  const { vm, answer } = await look('web')
  assert(vm.status.pid)
  process.kill(vm.status.pid, 'SIGKILL')
  await waitForAnswer(probeOf(vm), { deadlineMs: bootDeadlineMs, isRight: isAfter(answer) })
  const again = await laboratory.api.call('getVm', { params: { vm: 'web' } })
  assert.equal(again.hostName, vm.hostName)
  assert.equal(again.status.epoch, vm.status.epoch)
  assert.equal(again.status.incarnation, vm.status.incarnation + 1)
})

test('the guests of an agent that is killed never miss an answer, and are re-adopted', async () => {
  const { vm, answer } = await look('web')
  const agent = (await laboratory.status()).hosts.find((host) => host.name === vm.hostName)?.pids.agent
  assert(agent)
  process.kill(agent, 'SIGKILL')
  const givesUpAtMs = performance.now() + 15_000
  let answers = 0
  for (;;) {
    assert.equal(
      (await ask(probeOf(vm), patienceMs))?.bootId,
      answer.bootId,
      `answer ${answers} came from the same boot`,
    )
    answers += 1
    const status = await laboratory.status()
    const pid = status.hosts.find((host) => host.name === vm.hostName)?.pids.agent
    if (
      answers > 20 &&
      pid &&
      pid !== agent &&
      (await laboratory.api.call('getHost', { params: { host: vm.hostName ?? '' } })).status.state === 'online'
    )
      break
    assert(performance.now() < givesUpAtMs, 'the agent came back')
    await delay(50)
  }
  await delay(1500)
  const adopted = await laboratory.api.call('getVm', { params: { vm: 'web' } })
  assert.equal(adopted.status.pid, vm.status.pid)
  assert.equal(adopted.placement?.epoch, vm.placement?.epoch)
})

for (const how of [
  { name: 'be gone', stop: 'stop', start: 'start' },
  ...(isThorough ? [{ name: 'stand still', stop: 'pause', start: 'continue' }] : []),
]) {
  test(`the controller may ${how.name} for longer than every lease: no machine is killed and none is restarted afterwards`, async () => {
    const before = await Promise.all(['web', 'plain'].map(look))
    await laboratory.lab(['controller', how.stop])
    await delay(8_000)
    for (const { vm, answer } of before) assert.equal((await ask(probeOf(vm), patienceMs))?.bootId, answer.bootId)
    await laboratory.lab(['controller', how.start])
    await delay(6_000)
    for (const { vm, answer } of before) {
      assert.equal((await ask(probeOf(vm), patienceMs))?.bootId, answer.bootId)
      const now = await laboratory.api.call('getVm', { params: { vm: vm.name } })
      assert.deepEqual([now.hostName, now.placement?.epoch], [vm.hostName, vm.placement?.epoch])
    }
  })
}

test('all links may be down for longer than every lease: no machine is killed and none is restarted afterwards', async () => {
  const before = await Promise.all(['web', 'plain'].map(look))
  await laboratory.lab(['cut-all'])
  await delay(8_000)
  await laboratory.lab(['heal-all'])
  await delay(6_000)
  for (const { vm, answer } of before) {
    const { answer: later } = await waitForAnswer(probeOf(vm), { deadlineMs: 5_000 })
    assert.equal(later.bootId, answer.bootId)
    const now = await laboratory.api.call('getVm', { params: { vm: vm.name } })
    assert.deepEqual([now.hostName, now.placement?.epoch], [vm.hostName, vm.placement?.epoch])
  }
})

test('when a host dies its machine with HA answers from another host, on a stored proof, and stays there when the host comes back', async () => {
  const { vm, answer } = await look('web')
  const dead = vm.hostName ?? ''
  await laboratory.lab(['power-off', dead])
  await waitForAnswer(probeOf(vm), { deadlineMs: bootDeadlineMs, isRight: isAfter(answer) })
  const moved = await laboratory.api.call('getVm', { params: { vm: 'web' } })
  assert.notEqual(moved.hostName, dead)
  assert.equal(moved.placement?.proof?.kind, 'lease')
  await laboratory.lab(['power-on', dead])
  await laboratory.untilHostIs(dead, 'online')
  await delay(2000)
  const settled = await laboratory.api.call('getVm', { params: { vm: 'web' } })
  assert.deepEqual([settled.hostName, settled.placement?.epoch], [moved.hostName, moved.placement?.epoch])
})

test('in the end the doctor finds nothing wrong', async () => {
  const { findings } = await laboratory.api.call('doctor', {})
  assert.deepEqual(findings, [])
})

async function look(name: string): Promise<{ readonly vm: VmView; readonly answer: ProbeAnswer }> {
  const vm = await laboratory.api.call('getVm', { params: { vm: name } })
  const { answer } = await waitForAnswer(probeOf(vm), { deadlineMs: bootDeadlineMs })
  return { vm: await laboratory.api.call('getVm', { params: { vm: name } }), answer }
}

function probeOf(vm: VmView) {
  return { address: vm.address, name: vm.name }
}

function isAfter(before: ProbeAnswer): (answer: ProbeAnswer) => boolean {
  return (answer) => answer.bootId !== before.bootId
}
