import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { formatLine } from '../world/world-log.ts'
import { faultKinds } from './draw-fault.ts'
import { describePlan, type EpisodePlan } from './episode-plan.ts'
import { makeEpisode, makeQuietEpisode } from './make-episode.ts'
import { type EpisodeResult, runEpisode } from './run-episode.ts'
import { shrinkEpisode } from './shrink-episode.ts'
import { tellShrunk, tellViolations } from './tell-failure.ts'

const told = (result: EpisodeResult) => `${tellViolations(result).join('\n')}\n${result.log.map(formatLine).join('\n')}`

describe('an episode', () => {
  test('is the same for the same seed: 2 to 16 hosts, and 1 to 6 faults of every kind over many seeds', () => {
    const kinds = new Set<string>()
    for (let seed = 0; seed < 1_000; seed += 1) {
      const plan = makeEpisode({ seed })
      const faults = plan.steps.filter((step) => step.do === 'fault')
      assert.ok(plan.world.hosts.length >= 2 && plan.world.hosts.length <= 16)
      assert.ok(faults.length <= 6)
      assert.ok(plan.lastsMs >= 60_000)
      for (const { fault } of faults) kinds.add(fault.kind)
    }
    assert.deepEqual(
      faultKinds.filter((kind) => !kinds.has(kind)),
      [],
    )
    assert.deepEqual(makeEpisode({ seed: 7 }), makeEpisode({ seed: 7 }))
  })

  test('runs the same way twice', async () => {
    const [first, again] = [await runEpisode(makeEpisode({ seed: 11 })), await runEpisode(makeEpisode({ seed: 11 }))]
    assert.deepEqual(again.log.map(formatLine), first.log.map(formatLine))
    assert.equal(again.steps, first.steps)
  })

  for (let seed = 1; seed <= 12; seed += 1) {
    test(`of seed ${seed} violates nothing`, async () => {
      const result = await runEpisode(makeEpisode({ seed }))
      assert.deepEqual(result.violations, [], told(result))
    })
  }
})

test('quiet clusters see no failover', async () => {
  for (let seed = 1; seed <= 4; seed += 1) {
    const result = await runEpisode(makeQuietEpisode(seed))
    assert.deepEqual([result.violations, result.fenced, result.restarts], [[], 0, 0], told(result))
  }
})

describe('a failing episode', () => {
  /** As if a power cut and a move together, and nothing else, were what it takes. */
  const fakeRun = async ({ world, steps, machines }: EpisodePlan): Promise<EpisodeResult> => {
    const isBad =
      steps.some((step) => step.do === 'fault' && step.fault.kind === 'power-off') &&
      steps.some((step) => step.do === 'request' && step.item.call === 'migrateVm') &&
      machines.length > 0
    const violations = isBad ? [{ checker: 'one-writer-per-volume', atMs: 10, message: 'planted' }] : []
    const rest = {
      faults: [],
      restarts: 0,
      recoveriesMs: [],
      fenced: 0,
      simulatedMs: 0,
      skippedMs: 0,
      steps: 0,
      log: [],
    }
    return { seed: world.seed, violations, ...rest }
  }
  const largeSeed = 7
  const large: EpisodePlan = {
    ...makeEpisode({ seed: largeSeed }),
    steps: [
      { atMs: 1, do: 'fault', fault: { kind: 'controller-crashes' } },
      { atMs: 2, do: 'fault', fault: { kind: 'power-off', host: 'h1', forMs: 8_000 } },
      { atMs: 3, do: 'request', item: { call: 'stopVm', params: { vm: 'vm-1' } } },
      { atMs: 4, do: 'request', item: { call: 'migrateVm', params: { vm: 'vm-1' } } },
    ],
  }

  test('is shrunk to what it takes, with the hosts and machines that are left', async () => {
    assert.ok(large.world.hosts.length > 2 && large.machines.length > 1, 'another seed is needed')
    const first = await fakeRun(large)
    const { plan, result } = await shrinkEpisode(large, first, { run: fakeRun, attempts: 200 })
    assert.deepEqual(
      plan.steps.map((step) => (step.do === 'fault' ? step.fault.kind : step.item.call)),
      ['power-off', 'migrateVm'],
    )
    assert.deepEqual([plan.world.hosts.length, plan.machines.map(({ name }) => name)], [2, ['vm-1']])
    assert.equal(result.violations.length, 1)
  })

  test('is told with its seed, the command that repeats it, and what is left of it', async () => {
    const result = await fakeRun(large)
    assert.match(tellViolations(result).join('\n'), /seed 7 violates one-writer-per-volume[^]*npm run sim -- --seed 7/)
    assert.match(tellShrunk(large, result).join('\n'), /fault power-off[^]*→ one-writer-per-volume: planted/)
    assert.match(describePlan(large)[0] ?? '', /^seed 7: \d+ hosts/)
  })
})
