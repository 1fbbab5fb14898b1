/** What every hypervisor promises, as one suite: siblings call `hypervisorContract` from their tests with a fixture of their own. */
import assert from 'node:assert/strict'
import { on, once } from 'node:events'
import type { Duplex } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Hypervisor, MachineDefinition, MachineEvent, MemoryImageFiles, RunningMachine } from './hypervisor.ts'

export type HypervisorFixture = {
  readonly hypervisor: Hypervisor
  /** The same host after a restart of the agent. */
  nextAgent(): Hypervisor
  /** A machine of its own: its guest writes something to the console when it begins, echoes it, and honours the power button. */
  definition(): Promise<MachineDefinition>
  /** Ends the machine's process without telling anybody. */
  killFromOutside(machine: RunningMachine): void
  /** Definitions that cannot start, by what is wrong with them. */
  brokenDefinitions(): Promise<ReadonlyMap<string, MachineDefinition>>
  /** The same machine for another process: its own run directory, cgroup and card's end, on other disks. */
  sibling(definition: MachineDefinition, disks: MachineDefinition['disks']): Promise<MachineDefinition>
  /** An empty layer on that disk or layer, written to by nobody yet. */
  overlayOn(path: string): Promise<string>
  /** An empty disk of the size of the machines' own, written to by nobody yet. */
  emptyDisk(): Promise<string>
  /** Writes something to a disk that nobody has open. */
  fillDisk(path: string): Promise<void>
  /** Whether a guest would find the same on both; nobody has them open. */
  isSameDisk(one: string, other: string): Promise<boolean>
  /** Path of a file that does not exist, in an existing folder. */
  newPath(name: string): string
  /** Makes an image that is none. */
  brokenImage(): Promise<MemoryImageFiles>
  /** True when no process of the machine exists. */
  isNothingLeft(definition: MachineDefinition): Promise<boolean>
  dispose(): Promise<void>
}

/** Generous, since tests share a loaded machine; the latencies themselves are measured in e2e. */
export const patienceMs = 5000

/** A test with a fixture of its own, which is disposed of whatever happens. */
export function testWith(makeFixture: () => Promise<HypervisorFixture>) {
  return (statement: string, body: (fixture: HypervisorFixture, t: TestContext) => Promise<void>): void => {
    test(statement, { timeout: 30_000 }, async (t) => {
      const fixture = await makeFixture()
      try {
        await body(fixture, t)
      } finally {
        await fixture.dispose()
      }
    })
  }
}

export function hypervisorContract(name: string, makeFixture: () => Promise<HypervisorFixture>): void {
  const withFixture = testWith(makeFixture)

  describe(`${name}: a machine`, { concurrency: false }, () => {
    withFixture(
      'starts paused, runs when resumed, and stands still when paused',
      async ({ hypervisor, definition }) => {
        const machine = await hypervisor.start(await definition())
        assert.equal(await machine.state(), 'paused')
        const events = collectEvents(machine)
        await machine.resume()
        await machine.resume()
        assert.equal(await machine.state(), 'running')
        await machine.pause()
        assert.equal(await machine.state(), 'paused')
        await machine.resume()
        await machine.reset()
        assert.equal(await machine.state(), 'running')
        await until(() => events.length >= 3)
        assert.deepEqual(events.slice(0, 3), [
          { kind: 'state', state: 'running' },
          { kind: 'state', state: 'paused' },
          { kind: 'state', state: 'running' },
        ])
        await machine.kill(patienceMs)
      },
    )

    withFixture('is reaped when kill returns, and says that it was killed', async (fixture) => {
      const definition = await fixture.definition()
      const machine = await fixture.hypervisor.start(definition)
      await machine.resume()
      await machine.kill(patienceMs)
      assert.equal(await fixture.isNothingLeft(definition), true)
      assert.equal((await machine.exited).reason, 'killed')
      await machine.kill(patienceMs)
      await assert.rejects(machine.state(), isDialtoneError('hypervisor-failed'))
    })

    withFixture('that dies by itself is seen to be dead', async (fixture) => {
      const machine = await fixture.hypervisor.start(await fixture.definition())
      await machine.resume()
      fixture.killFromOutside(machine)
      const exit = await within(machine.exited)
      assert.equal(exit.reason, 'crashed')
      assert.notEqual(exit.detail, '')
    })

    withFixture('whose guest powers off after the button ends as a shutdown', async (fixture) => {
      const definition = await fixture.definition()
      const machine = await fixture.hypervisor.start(definition)
      const console = await machine.openConsole()
      await machine.resume()
      await makeSureItRuns(console)
      await machine.pressPowerButton()
      assert.equal((await within(machine.exited)).reason, 'guest-shutdown')
      assert.equal(await fixture.isNothingLeft(definition), true)
    })

    withFixture('echoes its console, and a new console ends the old one', async ({ hypervisor, definition }) => {
      const machine = await hypervisor.start(await definition())
      const first = await machine.openConsole()
      await machine.resume()
      await makeSureItRuns(first)
      const firstClosed = once(first, 'close')
      const second = await machine.openConsole()
      await within(firstClosed)
      await makeSureItRuns(second)
      await machine.kill(patienceMs)
    })

    withFixture('is adopted by the next agent, which sees its end and can kill it', async (fixture) => {
      const definitions = [await fixture.definition(), await fixture.definition()]
      const adopted: RunningMachine[] = []
      for (const definition of definitions) {
        const machine = await fixture.hypervisor.start(definition)
        await machine.resume()
        machine.detach()
        const found = await fixture.nextAgent().adopt(definition.runDirectory, definition.cgroupDirectory)
        assert.ok(found)
        assert.deepEqual([found.life, found.pid], [definition.life, machine.pid])
        assert.equal(await found.state(), 'running')
        adopted.push(found)
      }
      const [dying, killed] = adopted
      assert.ok(dying && killed)
      fixture.killFromOutside(dying)
      assert.equal((await within(dying.exited)).reason, 'crashed')
      await killed.kill(patienceMs)
      assert.equal((await within(killed.exited)).reason, 'killed')
    })

    withFixture('is adopted also while the agent before still holds it', async (fixture) => {
      const definition = await fixture.definition()
      const machine = await fixture.hypervisor.start(definition)
      const found = await fixture.nextAgent().adopt(definition.runDirectory, definition.cgroupDirectory)
      assert.equal(await found?.state(), 'paused')
      await found?.kill(patienceMs)
      await within(machine.exited)
    })

    withFixture('that is dead is not adopted, and its directory takes the next life', async (fixture) => {
      const definition = await fixture.definition()
      const adopt = () => fixture.nextAgent().adopt(definition.runDirectory, definition.cgroupDirectory)
      assert.equal(await adopt(), undefined)
      const machine = await fixture.hypervisor.start(definition)
      await machine.kill(patienceMs)
      assert.equal(await adopt(), undefined)
      const life = { ...definition.life, incarnation: definition.life.incarnation + 1 }
      const next = await fixture.hypervisor.start({ ...definition, life })
      assert.deepEqual((await adopt())?.life, life)
      await next.kill(patienceMs)
    })

    withFixture('is started once in a run directory, and once on a disk', async (fixture) => {
      const definition = await fixture.definition()
      const attempts = [fixture.hypervisor, fixture.hypervisor, fixture.nextAgent()].map((agent) =>
        agent.start(definition),
      )
      const results = await Promise.allSettled(attempts)
      assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1)
      await assert.rejects(fixture.hypervisor.start(definition), isDialtoneError('hypervisor-failed'))
      const other = { ...(await fixture.definition()), disks: definition.disks }
      await assert.rejects(fixture.hypervisor.start(other), /lock/)
      const found = await fixture.nextAgent().adopt(definition.runDirectory, definition.cgroupDirectory)
      assert.equal(await found?.state(), 'paused')
      await found?.kill(patienceMs)
    })

    withFixture('that cannot start leaves nothing behind', async (fixture) => {
      for (const [fault, definition] of await fixture.brokenDefinitions()) {
        await assert.rejects(fixture.hypervisor.start(definition), DialtoneError, fault)
        assert.equal(await fixture.isNothingLeft(definition), true, fault)
      }
    })
  })
}

export function collectEvents(machine: RunningMachine): MachineEvent[] {
  const events: MachineEvent[] = []
  machine.onEvent((event) => events.push(event))
  return events
}

/** Types until the guest answers: what came before it listened is lost. */
async function makeSureItRuns(console: Duplex): Promise<void> {
  const typing = setInterval(() => console.write('x'), 50)
  try {
    for await (const [chunk] of on(console, 'data', { signal: AbortSignal.timeout(patienceMs) })) {
      if (String(chunk).includes('x')) return
    }
  } finally {
    clearInterval(typing)
  }
}

export function within<T>(promise: Promise<T>): Promise<T> {
  return Promise.race([
    promise,
    delay(patienceMs, undefined, { ref: false }).then(() => assert.fail(`nothing came within ${patienceMs} ms`)),
  ])
}

export async function until(isTrue: () => boolean): Promise<void> {
  const givesUpAt = performance.now() + patienceMs
  while (!isTrue()) {
    assert.ok(performance.now() < givesUpAt, `not true within ${patienceMs} ms`)
    await delay(2)
  }
}

export function isDialtoneError(code: DialtoneError['code']): (error: unknown) => boolean {
  return (error) => error instanceof DialtoneError && error.code === code
}
