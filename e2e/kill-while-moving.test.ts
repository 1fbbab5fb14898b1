/**
 * Whatever is killed at whatever step of a move, one machine goes on. Each case kills one of the five programs that take part, at one
 * moment; then exactly one process of the machine is there, nothing is left over, and its disk shows one writer at a time. QEMU's file locks
 * are off, because all hosts share one kernel here and its locks would hide a mistake.
 *
 * `npm run e2e -- kill-while-moving --rounds 1` goes through every pair of step and victim; a few are part of `npm test`.
 */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { waitForAnswer } from '../src/cli/demo/http-probe.ts'
import type { TaskView, VmView } from '../src/model/api/views.ts'
import { isThorough, rounds } from './is-thorough.ts'
import { processesOf } from './machine-processes.ts'
import { type Moment, moments, watchMove } from './move-moments.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'
import { type FollowedStamps, followStamps, stampArguments, stampDiskOf } from './stamped-disk.ts'

const victims = [
  'the agent of its source',
  'the agent of its destination',
  'the controller',
  'QEMU at its source',
  'QEMU at its destination',
] as const
type Victim = (typeof victims)[number]

/** One of each victim, each at another moment. */
const briefly: readonly (readonly [Moment, Victim])[] = [
  ['sending', 'the agent of its source'],
  ['handed over', 'the agent of its destination'],
  ['switched', 'the controller'],
  ['preparing', 'QEMU at its source'],
  ['sending', 'QEMU at its destination'],
]
const everyPair = moments
  .flatMap((moment) => victims.map((victim) => [moment, victim] as const))
  // It has no process there yet, or it has none here any more.
  .filter(([moment, victim]) => !(moment === 'asked for' && victim === 'QEMU at its destination'))
  .filter(([moment, victim]) => !(moment === 'letting go' && victim === 'QEMU at its source'))

const name = 'mover'
const patienceMs = 60_000
/** Room for what only a guest that outruns its move by much changes. */
const memoryMiB = isThorough ? 512 : 128
let laboratory: OpenLaboratory
let stamps: FollowedStamps

before(async () => {
  laboratory = await openLaboratory('e2e-kills', ['--hosts', '2', '--no-file-locks'])
  const disks = [{ sizeMiB: 64, format: 'raw' as const }]
  const body = { name, template: 'tiny', ha: true, memoryMiB, disks, extraCommandLine: stampArguments }
  const { vm } = await laboratory.api.call('createVm', { body })
  await waitForAnswer({ address: vm.address, name }, { deadlineMs: 120_000 })
  stamps = await followStamps(stampDiskOf(laboratory, await look()))
})
after(async () => {
  await stamps?.[Symbol.asyncDispose]()
  await laboratory?.[Symbol.asyncDispose]()
})

for (let round = 1; round <= rounds; round += 1) {
  for (const [moment, victim] of isThorough ? everyPair : briefly) {
    test(`${victim} is killed when the move is ${moment}: exactly one machine runs on (round ${round})`, (t) =>
      killAt(moment, victim, t))
  }
}

async function killAt(moment: Moment, victim: Victim, t: TestContext): Promise<void> {
  const vm = await look()
  const { answer } = await waitForAnswer({ address: vm.address, name }, { deadlineMs: patienceMs })
  const destination = vm.hostName === 'h1' ? 'h2' : 'h1'
  const killVictim = await aimAt(victim, vm, destination)
  // Only what its guest outruns by much is followed by its memory.
  if (moment === 'following') await load(vm, 'POST', '?mib=400&rate=0')
  let task: TaskView
  {
    await using move = await watchMove(laboratory, vm, destination)
    ;({ task } = await laboratory.api.call('migrateVm', { params: { vm: name }, body: { host: destination } }))
    await move.until(moment)
    await killVictim()
  }
  const ended = await untilEnded(task.id)
  t.diagnostic(`the move ${ended.state}: ${ended.message}`)
  const settled = await untilSettled()
  if (moment === 'following') await load(vm, 'DELETE')
  const { answer: later } = await waitForAnswer({ address: vm.address, name }, { deadlineMs: patienceMs })
  if (ended.state === 'succeeded') assert.equal(settled.hostName, destination)
  if (!mayLoseMemory(moment, victim)) assert.equal(later.bootId, answer.bootId, 'it goes on without a boot')
  await assertNothingLeft(settled)
  assert.deepEqual(await stamps.violations(), [])
}

/** The one that has the memory is killed, or one without whom the rest of it never comes. */
function mayLoseMemory(moment: Moment, victim: Victim): boolean {
  const isFrom = (first: Moment) => moments.indexOf(moment) >= moments.indexOf(first)
  if (moment === 'following') return victim !== 'the controller'
  if (victim === 'QEMU at its source') return !isFrom('switched')
  return victim === 'QEMU at its destination' && isFrom('handed over')
}

/** What kills it. Found beforehand, as far as it can be: on a busy machine that takes longer than a step of a move. */
async function aimAt(victim: Victim, vm: VmView, destination: string): Promise<() => Promise<void>> {
  const { pids, hosts } = await laboratory.status()
  const agentOf = (host: string | null) => hosts.find((one) => one.name === host)?.pids.agent
  const known = {
    'the agent of its source': agentOf(vm.hostName),
    'the agent of its destination': agentOf(destination),
    'the controller': pids.controller,
    'QEMU at its source': vm.status.pid,
    'QEMU at its destination': undefined,
  }[victim]
  return async () => {
    const pid = known ?? (await processesOf(laboratory, vm.id)).get(destination)?.[0]
    assert.ok(pid, `${victim} has a process`)
    process.kill(pid, 'SIGKILL')
  }
}

/** Every program is back, and the machine runs under no move. */
async function untilSettled(): Promise<VmView> {
  for (const host of ['h1', 'h2']) await laboratory.untilHostIs(host, 'online')
  return patiently(`${name} runs, and no move is open`, async () => {
    const vm = await look()
    return vm.status.state === 'running' && vm.migration === null ? vm : undefined
  })
}

/** One process, where the store says, and nothing of it anywhere else. */
async function assertNothingLeft({ id, hostName }: VmView): Promise<void> {
  const processes = await processesOf(laboratory, id)
  assert.deepEqual(
    [...processes].map(([host, members]) => [host, members.length]),
    [[hostName, 1]],
  )
  for (const folder of ['machines', 'processes'] as const) {
    for (const host of ['h1', 'h2']) {
      const left = await readdir(join(laboratory.folder, 'hosts', host, 'run', folder)).catch(() => [])
      assert.deepEqual([folder, host, left.length], [folder, host, host === hostName ? 1 : 0])
    }
  }
  const { findings } = await laboratory.api.call('doctor', {}, { timeoutMs: 30_000 })
  assert.deepEqual(findings, [])
}

function untilEnded(taskId: string): Promise<TaskView> {
  return patiently('the move has ended', async () => {
    const task = await laboratory.api.call('getTask', { params: { task: taskId } })
    return task.endedAt === null ? undefined : task
  })
}

/** Asks until there is an answer, also while the controller is away. */
async function patiently<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const givesUpAtMs = performance.now() + patienceMs
  for (;;) {
    const answer = await ask().catch(() => undefined)
    if (answer !== undefined) return answer
    assert.ok(performance.now() < givesUpAtMs, `${what} within ${patienceMs / 1000} s`)
    await delay(50)
  }
}

/** Has the guest write to its memory as fast as it can, or ends that. */
async function load({ address }: VmView, method: 'POST' | 'DELETE', query = ''): Promise<void> {
  await patiently('the guest takes the load', async () => {
    const response = await fetch(`http://${address}/load${query}`, { method, signal: AbortSignal.timeout(5_000) })
    return response.ok ? true : undefined
  })
}

async function look(): Promise<VmView> {
  return laboratory.api.call('getVm', { params: { vm: name } })
}
