/** What a live cloud begins with: hosts, machines of every kind, people who may sign in, and a past with failures in it. */
import { put } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { TemplateSpec } from '../../model/cluster.ts'
import { makeId, nameSchema, templateIdSchema } from '../../model/ids.ts'
import { createSeededRandom } from '../seeded-random.ts'
import { createWorld, type WorkloadItem, type World } from '../world/world.ts'
import { doSomething, switchOnAll } from './lively.ts'

export type SeedOptions = {
  readonly seed: number
  readonly hosts: number
  /** How much time has passed before anybody looks; it is simulated as fast as it goes. */
  readonly pastMs: number
}

/** Everybody's password in a cloud that is not real. */
export const livePassword = 'let me look around'

const probe = { check: { kind: 'http', port: 80, path: '/health', status: 200, body: 'ok' } } as const
const machines = [
  ['web', 6, { ha: true, recovery: { mode: 'warm' }, memoryMiB: 256, drillable: true }],
  ['api', 4, { ha: true, recovery: { mode: 'warm' }, memoryMiB: 512 }],
  ['worker', 4, { ha: true, memoryMiB: 256 }],
  ['db', 2, { ha: true, recovery: { mode: 'checkpoint', everySeconds: 60 }, memoryMiB: 768, template: 'postgres' }],
  ['cache', 2, { ha: true, recovery: { mode: 'warm' }, memoryMiB: 128, drillable: true }],
  ['mail', 1, { ha: true, memoryMiB: 256, template: 'debian' }],
  ['build', 3, { ha: false, storage: 'local', memoryMiB: 512, template: 'debian' }],
  ['spare', 2, { ha: false, start: false, memoryMiB: 128 }],
] as const

/** A world whose hosts are online and whose machines run; its wall clock shows the real time. */
export async function seedCloud({ seed, hosts, pastMs }: SeedOptions): Promise<World> {
  const settleMs = 60_000
  const world = await createWorld({
    seed,
    beginsAtWallMs: Math.floor(Date.now() - pastMs - settleMs),
    hosts: Array.from({ length: hosts }, (_, index) => ({
      name: `node${index + 1}`,
      memoryMiB: index % 3 === 2 ? 6144 : 4096,
      cpus: index % 3 === 2 ? 16 : 8,
      powerFence: index % 2 === 0,
    })),
  })
  const online = () => world.parts.controller.engine() !== undefined && areOnline(world)
  await world.until('all hosts are online', online)
  await world.advance(4_000)
  await addTemplates(world)
  for (const item of [...people(), ...surroundings()]) await ask(world, item)
  for (const [stem, count, wish] of machines) {
    for (let number = 1; number <= count; number += 1) await ask(world, createMachine(`${stem}-${number}`, wish))
  }
  await world.advance(Math.max(0, settleMs - world.nowMs()))
  await liveThrough(world, { seed, untilMs: settleMs + pastMs })
  return world
}

/** Failures now and then, and calm at the end. */
async function liveThrough(world: World, { seed, untilMs }: { readonly seed: number; readonly untilMs: number }) {
  const random = createSeededRandom(seed, 'past')
  const calmMs = 45_000
  while (world.nowMs() < untilMs - calmMs) {
    doSomething(world, random)
    await world.advance(Math.min(random.between(15_000, 60_000), untilMs - calmMs - world.nowMs()))
  }
  switchOnAll(world)
  await world.advance(Math.max(0, untilMs - world.nowMs()))
}

function createMachine(name: string, wish: (typeof machines)[number][2]): WorkloadItem {
  return { call: 'createVm', body: { template: 'tiny', probe, ...wish, name } }
}

function people(): readonly WorkloadItem[] {
  const roles = { admin: 'administrator', olga: 'operator', vera: 'viewer' }
  return Object.entries(roles).map(([name, role]) => ({
    call: 'createUser',
    body: { name, role, password: livePassword },
  }))
}

function surroundings(): readonly WorkloadItem[] {
  return [
    { call: 'createNetwork', body: { name: 'dev', subnet: '10.5.0.0/24', uplink: 'nat' } },
    { call: 'createSecurityGroup', body: { name: 'web' } },
    {
      call: 'addSecurityRule',
      params: { group: 'web' },
      body: { direction: 'in', protocol: 'tcp', ports: [{ from: 80, to: 80 }] },
    },
  ]
}

/** Asks, and lets time pass until the answer is there; throws when it is not a good one. */
export async function ask(world: World, item: WorkloadItem): Promise<void> {
  let outcome: Awaited<ReturnType<World['request']>> | undefined
  void world.request(item).then((answer) => {
    outcome = answer
  })
  // A password is hashed outside of virtual time.
  for (let turn = 0; outcome === undefined && turn < 1000; turn += 1) {
    await world.advance(100, () => outcome !== undefined)
    if (outcome === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  if (outcome?.kind !== 'answered') throw new Error(`${item.call} was not answered well: ${JSON.stringify(outcome)}`)
}

function areOnline(world: World): boolean {
  return [...world.state().hosts.values()].every(({ status }) => status.state === 'online')
}

async function addTemplates(world: World): Promise<void> {
  const { leader } = world.engine()
  const [tiny] = world.state().templates.values()
  if (tiny === undefined) throw new Error('a world has a template')
  const random = createSeededRandom(1)
  const more: readonly Partial<TemplateSpec>[] = [
    {
      name: 'debian',
      version: 'debian-12',
      description: 'Debian 12 with cloud-init',
      boot: 'firmware',
      canResume: false,
    },
    { name: 'postgres', version: 'postgres-16', description: 'PostgreSQL 16, tuned for 1 GiB' },
  ]
  const templates = more.map(
    (changes): TemplateSpec => ({
      ...tiny,
      ...changes,
      id: makeId('tpl', templateIdSchema, random.bytes(8)),
      name: nameSchema.parse(changes.name),
    }),
  )
  const writes = templates.map((one) => put(keys.template(one.id), one))
  const stored = leader.store.commit({ conditions: [], writes })
  // A store takes its time, too.
  await world.advance(1_000)
  await stored
}
