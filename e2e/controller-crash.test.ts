/**
 * The controller is killed with SIGKILL at random moments while VMs are made, started and deleted. Whatever it had acknowledged is there
 * afterwards, every task ends, and nothing is left behind. CRASHES=50 repeats it fifty times; a few are part of `npm test`.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { TaskView } from '../src/model/api/views.ts'
import { DialtoneError } from '../src/model/dialtone-error.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'
import { mulberry32 } from './seeded-random.ts'

const crashes = Number(process.env['CRASHES'] ?? 2)
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
let laboratory: OpenLaboratory

before(async () => {
  laboratory = await openLaboratory('e2e-crash', ['--hosts', '2'])
})
after(() => laboratory?.[Symbol.asyncDispose]())

test(`after ${crashes} crashes of the controller every acknowledged change is there and nothing is left behind (SEED=${seed})`, async () => {
  const random = mulberry32(seed)
  /** Names whose creation was acknowledged, and whether their deletion was. */
  const expected = new Map<string, 'exists' | 'deleted'>()
  for (let crash = 1; crash <= crashes; crash += 1) {
    const name = `vm-${crash}`
    const victims = [...expected].filter(([, state]) => state === 'exists').map(([one]) => one)
    const operation =
      victims.length > 2 || (victims.length > 0 && random() < 0.4) ? (random() < 0.5 ? 'start' : 'delete') : 'create'
    const victim = victims[Math.floor(random() * victims.length)] ?? name
    const killed = killControllerAfter(random() * 700)
    const acknowledged = await attempt(operation, operation === 'create' ? name : victim)
    if (acknowledged && operation === 'create') expected.set(name, 'exists')
    if (acknowledged && operation === 'delete') expected.set(victim, 'deleted')
    await killed
    await untilItServes()
    await untilTasksEnd()
    const names = new Set((await laboratory.api.call('listVms', {})).vms.map((vm) => vm.name))
    for (const [one, state] of expected)
      assert.equal(names.has(one), state === 'exists', `${one} ${state} after crash ${crash} (${operation})`)
    // What was not acknowledged may or may not have been done; it counts as it is from here on.
    for (const one of names) expected.set(one, 'exists')
    for (const [one, state] of expected) if (state === 'exists' && !names.has(one)) expected.delete(one)
    for (const [one, state] of expected) if (state === 'deleted') expected.delete(one)
  }
  const { findings } = await laboratory.api.call('doctor', {})
  assert.deepEqual(findings, [])
})

async function attempt(operation: 'create' | 'start' | 'delete', name: string): Promise<boolean> {
  try {
    if (operation === 'create') await laboratory.api.call('createVm', { body: { name, template: 'tiny', start: true } })
    if (operation === 'start') await laboratory.api.call('startVm', { params: { vm: name } })
    if (operation === 'delete')
      await laboratory.api.call('deleteVm', { params: { vm: name }, query: { force: 'true' } })
    return true
  } catch (error) {
    const isCrash =
      error instanceof DialtoneError && (error.code === 'host-unreachable' || error.code === 'deadline-exceeded')
    assert(isCrash, `only the crash may be in the way: ${error instanceof Error ? error.message : String(error)}`)
    return false
  }
}

async function killControllerAfter(milliseconds: number): Promise<void> {
  const { controller: pid } = (await laboratory.status()).pids
  assert(pid)
  await delay(milliseconds)
  process.kill(pid, 'SIGKILL')
}

async function untilItServes(): Promise<void> {
  const givesUpAtMs = performance.now() + 20_000
  for (;;) {
    const isThere = await laboratory.api.call('health', {}, { timeoutMs: 1000 }).then(
      () => true,
      () => false,
    )
    if (isThere) return
    assert(performance.now() < givesUpAtMs, 'the controller serves again')
    await delay(100)
  }
}

async function untilTasksEnd(): Promise<void> {
  const givesUpAtMs = performance.now() + 90_000
  for (;;) {
    const { tasks } = await laboratory.api.call('listTasks', {})
    const open: readonly TaskView[] = tasks.filter((task) => task.endedAt === null)
    if (open.length === 0) return
    assert(
      performance.now() < givesUpAtMs,
      `tasks end: ${open.map((task) => `${task.kind} ${task.subject}: ${task.message}`).join('; ')}`,
    )
    await delay(200)
  }
}
