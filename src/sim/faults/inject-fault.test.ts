/** Each kind of fault does what it says, and its end undoes it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultKinds } from '../episode/draw-fault.ts'
import {
  answered,
  assertNoViolation,
  createRunning,
  hostOf,
  runsOn,
  startWorld,
  stateOf,
} from '../world/world.fixture.ts'
import type { World } from '../world/world.ts'
import type { FaultKind, FaultWish } from './fault.ts'

type Scene = {
  readonly wish: (on: string) => FaultWish
  /** Lets the effect be seen. */
  during(world: World, on: string): Promise<void>
  /** After its end. */
  after?(world: World, on: string): Promise<void>
}

const boot = (world: World, name: string) => world.parts.host(name).boot()
const hostState = (world: World, name: string) =>
  [...world.state().hosts.values()].find(({ spec }) => spec.name === name)?.status.state
const events = (world: World, event: string) => world.log.filter((line) => line.event === event).length
const movesAway = (world: World, on: string) =>
  world.until('it runs elsewhere', () => hostOf(world, 'web') !== on && stateOf(world, 'web') === 'running')
const isBack = (world: World, on: string) => world.until('the host is back', () => hostState(world, on) === 'online')
const isSuspect = (world: World, on: string) => world.until('it is suspect', () => hostState(world, on) === 'suspect')
const runsAgain = (world: World) =>
  world.until('it runs again', () => stateOf(world, 'web') === 'running' && runsOn(world, 'web').length === 1)
const pidOf = (world: World) => world.parts.machinesOf('web')[0]?.machine.pid
const landing = async (world: World) => {
  let landed = 0
  world.onSeen(({ kind }) => (landed += kind === 'write-landed' ? 1 : 0))
  await world.advance(1_500)
  return landed
}

const scenes: Readonly<Record<FaultKind, Scene>> = {
  'power-off': { wish: (host) => ({ kind: 'power-off', host }), during: movesAway, after: isBack },
  'host-resets': {
    wish: (host) => ({ kind: 'host-resets', host }),
    during: (world, on) => world.until('it boots anew', () => boot(world, on)?.number === 2),
  },
  'host-stands-still': {
    wish: (host) => ({ kind: 'host-stands-still', host }),
    during: (world, on) => world.until('its hardware watchdog resets it', () => boot(world, on)?.number === 2),
  },
  'agent-crashes': {
    wish: (host) => ({ kind: 'agent-crashes', host }),
    async during(world, on) {
      const pid = pidOf(world)
      assert.equal(boot(world, on)?.agent(), undefined)
      await world.until('the next one serves', () => boot(world, on)?.agent()?.served() !== undefined)
      assert.equal(pidOf(world), pid)
    },
  },
  'agent-stands-still': { wish: (host) => ({ kind: 'agent-stands-still', host }), during: isSuspect, after: isBack },
  'watchdog-crashes': {
    wish: (host) => ({ kind: 'watchdog-crashes', host }),
    async during(world, on) {
      assert.equal(boot(world, on)?.watchdog(), undefined)
      await world.until('the next one is there, or the host was reset', () => boot(world, on)?.watchdog() !== undefined)
    },
  },
  'watchdog-stands-still': {
    wish: (host) => ({ kind: 'watchdog-stands-still', host }),
    during: (world, on) => world.until('the hardware resets the host', () => boot(world, on)?.number === 2),
  },
  'controller-crashes': {
    wish: () => ({ kind: 'controller-crashes' }),
    during: (world) => world.until('the next one leads', () => world.parts.controller.engine()?.leader.term === 2),
  },
  'controller-stands-still': {
    wish: () => ({ kind: 'controller-stands-still' }),
    async during(world) {
      const { kind } = await answered(world, { call: 'stopVm', params: { vm: 'web' }, body: {} })
      assert.equal(kind, 'refused')
    },
  },
  'controller-is-gone': {
    wish: () => ({ kind: 'controller-is-gone' }),
    async during(world, on) {
      await world.advance(10_000)
      assert.equal(world.parts.controller.engine(), undefined)
      assert.deepEqual(runsOn(world, 'web'), [on])
    },
    after: (world) => world.until('one leads again', () => world.parts.controller.engine() !== undefined),
  },
  'state-goes-back': {
    wish: () => ({ kind: 'state-goes-back', byMs: 1_000 }),
    async during(world) {
      await world.until('one leads on it', () => world.parts.controller.engine() !== undefined)
      assert.equal(world.engine().leader.store.incarnation, 'history-2')
    },
  },
  'way-is-cut': {
    wish: (host) => ({ kind: 'way-is-cut', from: host, to: 'controller', isOneWay: true }),
    during: isSuspect,
    after: isBack,
  },
  'host-is-cut-off': { wish: (host) => ({ kind: 'host-is-cut-off', host }), during: movesAway, after: isBack },
  'network-is-gone': {
    wish: () => ({ kind: 'network-is-gone' }),
    async during(world, on) {
      await world.advance(20_000)
      assert.deepEqual(runsOn(world, 'web'), [on])
      assert.equal(events(world, 'host.fenced'), 0)
    },
  },
  'network-is-bad': {
    wish: () => ({ kind: 'network-is-bad', lost: 0.4, doubled: 0, slow: 0 }),
    async during(world) {
      await world.advance(5_000)
      assert.ok(events(world, 'heartbeat.unanswered') > 0)
    },
  },
  'storage-hangs': {
    wish: (host) => ({ kind: 'storage-hangs', storage: 'shared', host }),
    during: async (world) => assert.ok((await landing(world)) < 3),
    after: async (world) => assert.ok((await landing(world)) > 3),
  },
  'storage-refuses': {
    wish: () => ({ kind: 'storage-refuses', storage: 'shared' }),
    during: (world) => world.until('the guest stands still', () => stateOf(world, 'web') === 'frozen'),
    after: runsAgain,
  },
  'storage-is-slow': {
    wish: () => ({ kind: 'storage-is-slow', storage: 'shared', delayMs: 4_000 }),
    during: async (world) => assert.ok((await landing(world)) < 4),
  },
  'storage-is-full': {
    wish: () => ({ kind: 'storage-is-full', storage: 'shared' }),
    during: (world) => world.until('the guest stands still', () => stateOf(world, 'web') === 'frozen'),
    after: runsAgain,
  },
  'slot-is-torn': {
    wish: (host) => ({ kind: 'slot-is-torn', storage: 'shared', host }),
    during: (world) => world.until('its reader says so', () => events(world, 'slot.unreadable') > 0),
  },
  'fence-lies': {
    wish: (host) => ({ kind: 'fence-lies', host }),
    async during(world, on) {
      world.inject({ kind: 'host-is-cut-off', host: on })
      await world.until('the lie is seen', () => events(world, 'host.power-fence-failed') > 0)
      await movesAway(world, on)
    },
  },
  'fence-hangs': {
    wish: (host) => ({ kind: 'fence-hangs', host }),
    async during(world, on) {
      world.inject({ kind: 'host-is-cut-off', host: on })
      await movesAway(world, on)
      assert.equal(world.vm('web')?.placement?.proof?.kind, 'lease')
    },
  },
  'fence-fails': {
    wish: (host) => ({ kind: 'fence-fails', host }),
    async during(world, on) {
      world.inject({ kind: 'host-is-cut-off', host: on })
      await movesAway(world, on)
      assert.equal(world.vm('web')?.placement?.proof?.kind, 'lease')
    },
  },
  'qemu-dies': {
    wish: () => ({ kind: 'qemu-dies', vm: 'web' }),
    async during(world) {
      await runsAgain(world)
      assert.equal(world.vm('web')?.status?.incarnation, 1)
    },
  },
  'qemu-stands-still': {
    wish: () => ({ kind: 'qemu-stands-still', vm: 'web' }),
    during: async (world) => assert.ok((await landing(world)) < 3),
    after: async (world) => assert.ok((await landing(world)) > 3),
  },
  'guest-panics': {
    wish: () => ({ kind: 'guest-panics', vm: 'web' }),
    during: (world) => world.until('it is started again', () => world.vm('web')?.status?.incarnation === 1),
  },
  'guest-hangs': {
    wish: () => ({ kind: 'guest-hangs', vm: 'web' }),
    during: (world) => world.until('it is started again', () => world.vm('web')?.status?.incarnation === 1),
  },
  'guest-ignores-shutdown': {
    wish: () => ({ kind: 'guest-ignores-shutdown', vm: 'web' }),
    async during(world) {
      await answered(world, { call: 'stopVm', params: { vm: 'web' }, body: {} })
      await world.advance(5_000)
      assert.equal(stateOf(world, 'web'), 'stopping')
    },
  },
  'starts-fail': {
    wish: (host) => ({ kind: 'starts-fail', host }),
    async during(world, on) {
      world.inject({ kind: 'qemu-dies', vm: 'web' })
      await movesAway(world, on)
    },
  },
  'orders-fail': {
    wish: (host) => ({ kind: 'orders-fail', host, order: 'send' }),
    async during(world, on) {
      await answered(world, { call: 'migrateVm', params: { vm: 'web' }, body: {} })
      await world.until('the move has failed', () =>
        [...world.state().tasks.values()].some(({ state }) => state === 'failed'),
      )
      assert.deepEqual(runsOn(world, 'web'), [on])
    },
  },
  'wall-clock-jumps': {
    wish: (host) => ({ kind: 'wall-clock-jumps', host, byMs: 3_600_000 }),
    async during(world, on) {
      const clock = boot(world, on)?.agent()?.life.clock
      assert.ok((clock?.wallTime().getTime() ?? 0) > Date.UTC(2026, 0, 1) + 3_600_000)
    },
  },
}

for (const kind of faultKinds) {
  const { wish, during, after } = scenes[kind]
  test(`each kind of fault does what it says: ${kind}`, async () => {
    const hosts = ['h1', 'h2', 'h3'].map((name) => ({ name, powerFence: kind.startsWith('fence-') }))
    const world = await startWorld({ hosts, checksHeartbeats: false })
    const on = await createRunning(world, 'web')
    const end = world.inject(wish(on))
    await during(world, on)
    end()
    await after?.(world, on)
    assertNoViolation(world)
  })
}

test('a process that crashes while a write of it hangs is there until the write is over', async () => {
  const world = await startWorld({ checksHeartbeats: false })
  const on = await createRunning(world, 'web')
  const [web] = world.parts.machinesOf('web')
  const end = world.inject({ kind: 'storage-hangs', storage: 'shared', host: on })
  await world.until('a write of it hangs', () => web?.machine.isUnkillable === true)
  world.inject({ kind: 'qemu-dies', vm: 'web' })
  await world.advance(300)
  assert.equal(web?.machine.exit, undefined)
  assert.equal(await landing(world), 0)
  end()
  await world.until('it is over', () => web?.machine.exit !== undefined)
  await runsAgain(world)
  assertNoViolation(world)
})
