import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { clusterDumpSchema } from '../../model/cluster-dump.ts'
import {
  hostIdOf,
  makeCluster,
  makeHost,
  makeImage,
  makeReadiness,
  makeReport,
  makeVm,
  sessionIdOf,
  someTime,
} from '../../model/cluster-state.fixture.ts'
import type { HostRecord, VmRecord } from '../../model/cluster-state.ts'
import { noPlacementRules } from '../../model/placement-rules.ts'
import { planSchema } from '../../model/plan.ts'
import { emptyStatistics, noteOutcome } from '../../model/recovery/ladder-statistics.ts'
import type { VmQuestion } from '../vm-decision.ts'
import { calm } from '../vm-question.fixture.ts'
import { dumpCluster, type Planned, readDump } from './dump-cluster.ts'
import { planCluster } from './plan-cluster.ts'

const question: VmQuestion = { ...calm, startOrder: 'accepted', epochFloor: 0 }
const names = ['ada', 'bob', 'cyd']

function plannedOf(vms: readonly VmRecord[], hosts: readonly HostRecord[] = names.map((name) => makeHost(name))) {
  const planned: Planned = {
    cluster: makeCluster({ hosts, vms }),
    questions: new Map(
      vms.map(({ spec, placement }) => [
        spec.id,
        placement === undefined ? question : { ...question, report: makeReport(spec.name) },
      ]),
    ),
    statistics: new Map(),
    takenAt: '2026-01-01T00:05:00.000Z',
    revision: 7,
  }
  return planned
}
const image = makeImage('one')
/** On ada, and guarded by bob. */
const warm = makeVm('warm', {
  on: 'ada',
  spec: { recovery: { mode: 'warm' } },
  status: { recovery: { ...makeReadiness(), image, spare: 'ready' } },
  standby: {
    hostId: hostIdOf('bob'),
    session: sessionIdOf('bob'),
    imageId: image.imageId,
    chosenAt: someTime,
    reason: 'bob fits best',
  },
})
const lossOf = (planned: Planned, host = 'ada') => {
  const { ifHostDies } = planCluster(planned, { ifHostDies: hostIdOf(host) })
  assert.ok(ifHostDies)
  return ifHostDies
}

describe('the plan', () => {
  test('says for every machine what is next and why, and for other hosts what stands against them', () => {
    const running = makeVm('web', { on: 'ada', status: {} })
    const big = makeVm('big', { spec: { memoryMiB: 5_000 } })
    const [first, second] = planCluster(plannedOf([running, big])).vms
    assert.deepEqual([first?.vmName, first?.decision], ['big', 'wait'])
    assert.match(first?.reason ?? '', /^no host fits: ada: needs 5048 MiB/)
    assert.deepEqual(
      first?.refusals.map(({ hostName }) => hostName),
      names,
    )
    assert.deepEqual([second?.vmName, second?.decision, second?.hostName], ['web', 'settled', 'ada'])
  })

  test('names the rules that a machine breaks', () => {
    const placementRules = {
      ...noPlacementRules,
      rules: [{ kind: 'not-on-hosts' as const, hosts: { host: 'ada' }, strength: 'required' as const }],
    }
    const [plan] = planCluster(plannedOf([makeVm('web', { on: 'ada', spec: { placementRules } })])).vms
    assert.deepEqual(plan?.brokenRules, ['it must not be on ada'])
  })

  test('places what is not placed', () => {
    const [plan] = planCluster(plannedOf([makeVm('web')])).vms
    assert.deepEqual([plan?.decision, plan?.toHostName], ['place', 'ada'])
  })
})

describe('if a host died', () => {
  test('each of its machines says where it would go on, by which way, and what it would lose', () => {
    const { recovered, notRecovered } = lossOf(plannedOf([warm, makeVm('cold', { on: 'ada', status: {} })]))
    assert.deepEqual(
      recovered.map(({ vmName, toHostName, way }) => [vmName, toHostName, way]),
      [
        ['cold', 'cyd', 'boot'],
        ['warm', 'bob', 'warm-standby'],
      ],
    )
    assert.match(recovered[1]?.loses ?? '', /since its image of 5 minutes ago/)
    assert.deepEqual(notRecovered, [])
  })

  test('the time comes from what was measured on the host that would take it', () => {
    const slow = { cause: 'host-died', rung: 'resume-elsewhere', isCured: true, tookMs: 20_000 } as const
    const statistics = Array.from({ length: 15 }, () => slow).reduce(noteOutcome, emptyStatistics)
    const planned = plannedOf([warm])
    const usual = lossOf(planned).recovered[0]?.expectedMs ?? 0
    const measured = lossOf({ ...planned, statistics: new Map([[hostIdOf('bob'), statistics]]) }).recovered[0]
      ?.expectedMs
    assert.ok(measured !== null && measured !== undefined && measured > usual + 10_000)
  })

  test('who would not go on says why: no HA, a local disk, no room', () => {
    const vms = [
      makeVm('plain', { on: 'ada', spec: { ha: false } }),
      makeVm('bound', { on: 'ada', spec: { ha: false, boundToHostId: hostIdOf('ada') } }),
      makeVm('big', { on: 'ada', spec: { memoryMiB: 3_000 } }),
    ]
    const hosts = [
      makeHost('ada'),
      makeHost('bob', { status: { memoryMiB: 1_000 } }),
      makeHost('cyd', { status: { storageIds: [] } }),
    ]
    const reasons = Object.fromEntries(
      lossOf(plannedOf(vms, hosts)).notRecovered.map((one) => [one.vmName, one.reason]),
    )
    assert.match(reasons['plain'] ?? '', /no HA/)
    assert.match(reasons['bound'] ?? '', /local to ada/)
  })

  test('a machine with HA that fits nowhere says so for each host that is left', () => {
    const vms = [makeVm('big', { on: 'ada', spec: { memoryMiB: 3_000 } }), makeVm('web', { on: 'ada' })]
    const hosts = [
      makeHost('ada'),
      makeHost('bob', { status: { memoryMiB: 1_000 } }),
      makeHost('cyd', { status: { storageIds: [] } }),
    ]
    const loss = lossOf(plannedOf(vms, hosts))
    assert.deepEqual(
      loss.recovered.map(({ vmName }) => vmName),
      ['web'],
    )
    assert.deepEqual(
      loss.notRecovered[0]?.refusals.map(({ hostName }) => hostName),
      ['bob', 'cyd'],
    )
    assert.match(loss.notRecovered[0]?.reason ?? '', /bob: needs 3048 MiB.*cyd: it doesn't have the storage shared/)
  })

  test('it says how the host would be proven dead, and when nobody would be fenced', () => {
    assert.match(lossOf(plannedOf([warm])).proof, /its lease runs out/)
    assert.ok((lossOf(plannedOf([warm])).provenAfterMs ?? 0) > 3_000)
    const alone = lossOf(plannedOf([makeVm('web', { on: 'ada' })], [makeHost('ada')]))
    assert.match(alone.proof, /would not be fenced/)
    assert.deepEqual([alone.recovered.length, alone.notRecovered.length], [0, 1])
  })

  test('it says who would lose a standby', () => {
    assert.deepEqual(lossOf(plannedOf([warm]), 'bob').losesStandby, ['warm'])
  })
})

describe('a dump', () => {
  const fence = { agent: 'fence_virsh', parameters: { password: 'hunter2' } }
  const hosts = [makeHost('ada', { spec: { fence } }), makeHost('bob'), makeHost('cyd')]
  const planned = plannedOf([warm, makeVm('web', { spec: { extraCommandLine: 'token=hunter2' } })], hosts)
  const dumped = () => clusterDumpSchema.parse(JSON.parse(JSON.stringify(dumpCluster(planned))))

  test('gives the same plan as the live cluster', () => {
    const live = planCluster(planned, { ifHostDies: hostIdOf('ada') })
    assert.deepEqual(planCluster(readDump(dumped()), { ifHostDies: hostIdOf('ada') }), live)
    assert.deepEqual(planSchema.parse(live), live)
  })

  test('holds no secret', () => assert.doesNotMatch(JSON.stringify(dumped()), /hunter2/))
})
