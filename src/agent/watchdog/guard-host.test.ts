import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { vmIdOf } from '../../model/cluster-state.fixture.ts'
import { defaultTimings as timings } from '../../model/timings.ts'
import { createVirtualClock } from '../virtual-clock.fixture.ts'
import { createHostGuard } from './guard-host.ts'
import type { HardwareWatchdog } from './hardware-watchdog.ts'
import { machinesInCgroups } from './host-machines.ts'
import type { WatchdogState } from './watchdog-message.ts'
import { makeState } from './watchdog-state.fixture.ts'

/** Folders stand in for cgroups: `cgroup.events` says what a test says, and a kill is seen in `cgroup.kill`. */
function openHost(t: TestContext) {
  const machinesCgroup = mkdtempSync(join(tmpdir(), 'guard-host-'))
  t.after(() => rmSync(machinesCgroup, { recursive: true }))
  const clock = createVirtualClock()
  const warnings: string[] = []
  const killedAgents: number[] = []
  let pets = 0
  const guard = createHostGuard({
    clock,
    logger: { info: () => undefined, warn: (event) => warnings.push(event), error: () => undefined },
    hardware: { timeoutMs: timings.watchdogMs, isFinal: true, pet: () => void (pets += 1) },
    machines: machinesInCgroups(machinesCgroup),
    killAgent: (pid) => void killedAgents.push(pid),
  })
  const directory = (name: string) => join(machinesCgroup, vmIdOf(name))
  return {
    clock,
    guard,
    warnings,
    killedAgents,
    machinesCgroup,
    populate(name: string, isPopulated = true) {
      mkdirSync(directory(name), { recursive: true })
      writeFileSync(join(directory(name), 'cgroup.kill'), '')
      writeFileSync(join(directory(name), 'cgroup.events'), `populated ${isPopulated ? 1 : 0}\nfrozen 0\n`)
    },
    isKilled: (name: string) => readFileSync(join(directory(name), 'cgroup.kill'), 'utf8') === '1',
    machine: (name: string, isFrozen = false): WatchdogState['machines'][number] => ({
      vmId: vmIdOf(name),
      storageIds: [],
      isFrozen,
      cgroupDirectory: directory(name),
    }),
    /** Whether a look pets the hardware. */
    looks() {
      const before = pets
      guard.look()
      return pets > before
    },
    directory,
  }
}

describe('before the agent has spoken the hardware', () => {
  test('is petted while no machine runs', (t) => {
    const host = openHost(t)
    assert.equal(host.looks(), true)
    host.populate('web', false)
    assert.equal(host.looks(), true)
    rmSync(host.machinesCgroup, { recursive: true })
    assert.equal(host.looks(), true)
    mkdirSync(host.machinesCgroup)
  })

  test('is not petted while a machine may run: nobody knows its licence', (t) => {
    const host = openHost(t)
    host.populate('web')
    assert.equal(host.looks(), false)
    assert.equal(host.isKilled('web'), false)
  })
})

describe('a machine', () => {
  test('with a licence is let alone, and the hardware is petted', (t) => {
    const host = openHost(t)
    host.populate('web')
    host.guard.update(
      makeState({ machines: [host.machine('web')], acknowledgedHeartbeatSentAtMs: host.clock.bootTimeMs() }),
    )
    assert.equal(host.looks(), true)
    assert.equal(host.isKilled('web'), false)
  })

  test('without one is killed through its cgroup, and until it is reaped the hardware is not petted', async (t) => {
    const host = openHost(t)
    host.populate('web')
    host.populate('mail')
    const machines = [host.machine('web'), host.machine('mail', true)]
    host.guard.update(makeState({ machines, acknowledgedHeartbeatSentAtMs: host.clock.bootTimeMs() }))
    await host.clock.advance(timings.leaseMs)
    assert.equal(host.looks(), false)
    assert.equal(host.isKilled('web'), true)
    assert.equal(host.isKilled('mail'), false)
    host.populate('web', false)
    assert.equal(host.looks(), true)
  })

  test('is killed at every look until it is gone, and that is told once', async (t) => {
    const host = openHost(t)
    host.populate('web')
    host.guard.update(makeState({ machines: [host.machine('web')] }))
    await host.clock.advance(timings.leaseMs)
    host.looks()
    host.populate('web')
    host.looks()
    assert.equal(host.isKilled('web'), true)
    assert.deepEqual(host.warnings, ['watchdog.kills', 'watchdog.not-petted'])
  })

  test('that cannot be looked at counts as alive', (t) => {
    const host = openHost(t)
    mkdirSync(join(host.directory('web'), 'cgroup.events'), { recursive: true })
    assert.equal(host.looks(), false)
    host.guard.update(makeState({ machines: [host.machine('web')] }))
    assert.equal(host.looks(), false)
  })

  test('whose cgroup is not there yet, or no more, holds nothing up', (t) => {
    const host = openHost(t)
    host.guard.update(makeState({ machines: [host.machine('web')] }))
    assert.equal(host.looks(), true)
  })
})

describe('an agent that is stalled', () => {
  test('is killed once, so that its supervisor starts it anew, and the next one has its own time', async (t) => {
    const host = openHost(t)
    host.guard.update(makeState({ machines: [], agentPid: 17 }))
    await host.clock.advance(timings.agentStallMs)
    host.guard.look()
    assert.deepEqual(host.killedAgents, [])
    await host.clock.advance(1)
    host.guard.look()
    host.guard.look()
    assert.deepEqual(host.killedAgents, [17])
    assert.deepEqual(host.warnings, ['watchdog.agent-stalled'])
    host.guard.update(makeState({ machines: [], agentPid: 18 }))
    host.guard.look()
    assert.deepEqual(host.killedAgents, [17])
  })

  test('under the number of one that was killed before is killed as well', async (t) => {
    const host = openHost(t)
    for (const _life of ['first', 'second']) {
      host.guard.update(makeState({ machines: [], agentPid: 17 }))
      await host.clock.advance(timings.agentStallMs + 1)
      host.guard.look()
    }
    assert.deepEqual(host.killedAgents, [17, 17])
  })
})

test('a host is hard-armed only by hardware that nobody can disarm and that resets it within W', () => {
  const armedBy = (hardware: HardwareWatchdog | undefined) =>
    createHostGuard({
      clock: createVirtualClock(),
      logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
      hardware,
      machines: { kill: () => undefined, isPopulated: () => false, holdsAny: () => false },
      killAgent: () => undefined,
    }).armed()
  const pet = () => undefined
  assert.equal(armedBy({ timeoutMs: timings.watchdogMs, isFinal: true, pet }), 'hard')
  assert.equal(armedBy({ timeoutMs: timings.watchdogMs + 1, isFinal: true, pet }), 'none')
  assert.equal(armedBy({ timeoutMs: timings.watchdogMs, isFinal: false, pet }), 'none')
  assert.equal(armedBy(undefined), 'none')
})
