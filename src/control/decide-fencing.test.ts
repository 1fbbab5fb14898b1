import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type HostChanges,
  hostIdOf,
  makeCluster,
  makeHost,
  makeObservation,
  makeStorage,
  makeVm,
  sharedId,
  someTime,
  storageIdOf,
  type VmChanges,
} from '../model/cluster-state.fixture.ts'
import type { HostObservation } from '../model/cluster-state.ts'
import { decideFencing, type FencingProgress, type FencingQuestion } from './decide-fencing.ts'

const fence = { agent: '/usr/sbin/fence_virsh', parameters: {} }
const withFence: HostChanges = { spec: { fence } }
const unused: FencingProgress = { generation: 9, power: { kind: 'unused' }, pills: new Map() }
const stood = (stoodMs: number, storageId = sharedId) => [storageId, { kind: 'standing', stoodMs }] as const

/** Ada is suspect and holds `web`; bob and cyd answer. */
function decide(
  wish: {
    ada?: HostChanges
    vm?: VmChanges
    silentMs?: number
    bob?: HostChanges
    bobSees?: Partial<HostObservation>
    adaAnswers?: Partial<HostObservation>
    question?: Partial<FencingQuestion>
  } = {},
) {
  const ada = makeHost('ada', { ...wish.ada, status: { state: 'suspect', ...wish.ada?.status } })
  const cluster = makeCluster({
    hosts: [ada, makeHost('bob', wish.bob), makeHost('cyd')],
    storages: [makeStorage('shared'), makeStorage('second')],
    vms: [makeVm('web', { on: 'ada', ...wish.vm })],
  })
  const silentMs = wish.silentMs ?? 900
  return decideFencing(cluster, {
    hostId: hostIdOf('ada'),
    observations: new Map([
      [hostIdOf('ada'), makeObservation({ silentMs, attentiveSilentMs: silentMs, ...wish.adaAnswers })],
      [hostIdOf('bob'), makeObservation(wish.bobSees)],
      [hostIdOf('cyd'), makeObservation()],
    ]),
    mass: { isMass: false, silent: 1, total: 3 },
    massAgoMs: Infinity,
    progress: undefined,
    wallTime: someTime,
    ...wish.question,
  })
}
const kinds = (wish: Parameters<typeof decide>[0]) => decide(wish).map(({ kind }) => kind)
const proof = (wish: Parameters<typeof decide>[0]) => {
  const [first] = decide(wish)
  return first?.kind === 'prove' ? first.proof : undefined
}

describe('a silent host is left alone', () => {
  test('while it answers, is fenced already, or holds no machine with HA that is meant to run', () => {
    for (const state of ['online', 'fenced', 'maintenance'] as const)
      assert.deepEqual(kinds({ ada: { ...withFence, status: { state } } }), [])
    for (const spec of [{ ha: false }, { desired: 'stopped' }, { lifecycle: 'deleting' }] as const)
      assert.deepEqual(kinds({ ada: withFence, vm: { spec } }), [])
  })
  test('while many fell silent together, and just after', () => {
    const mass = { isMass: true, silent: 2, total: 3 }
    assert.deepEqual(kinds({ ada: withFence, question: { mass } }), ['hold'])
    assert.deepEqual(kinds({ ada: withFence, question: { massAgoMs: 100 } }), ['hold'])
  })
  test('while no other host has room', () =>
    assert.deepEqual(kinds({ ada: withFence, vm: { spec: { memoryMiB: 5000 } } }), ['hold']))
  test('without a power fence until the silence is long enough for a pill', () => {
    assert.deepEqual(kinds({ silentMs: 1_999 }), [])
    assert.deepEqual(kinds({ silentMs: 2_000 }), ['begin', 'write-pill'])
  })
})

describe('a host whose kernel answers', () => {
  const answering = (silentMs: number, kernelAnsweredAgoMs: number, ada: HostChanges = withFence) =>
    kinds({ ada, silentMs, adaAnswers: { kernelAnsweredAgoMs } })
  test('is not switched off before its lease has run out', () => {
    assert.deepEqual(answering(900, 120), ['hold'])
    assert.deepEqual(answering(900, 799), ['hold'])
    assert.deepEqual(answering(2_999, 120), ['hold'])
    assert.deepEqual(answering(3_000, 120), ['begin', 'use-power-fence', 'write-pill'])
  })
  test('gets no pill before that either, and nothing is said before one would be due', () => {
    assert.deepEqual(answering(1_999, 120, {}), [])
    assert.deepEqual(answering(2_999, 120, {}), ['hold'])
    assert.deepEqual(answering(3_000, 120, {}), ['begin', 'write-pill'])
  })
  test('is fenced as ever when it has stopped answering', () => {
    assert.deepEqual(answering(900, 800), ['begin', 'use-power-fence'])
    assert.deepEqual(answering(2_000, 800, {}), ['begin', 'write-pill'])
  })
})

describe('fencing', () => {
  test('begins before anything else, and uses the power fence at once where there is one', () => {
    assert.deepEqual(kinds({ ada: withFence }), ['begin', 'use-power-fence'])
    assert.deepEqual(kinds({ ada: withFence, silentMs: 2_000 }), ['begin', 'use-power-fence', 'write-pill'])
  })
  test('does not repeat a power fence that runs, and repeats a failed one after a while', () => {
    const power = (state: FencingProgress['power']) =>
      kinds({ ada: withFence, question: { progress: { ...unused, power: state } } })
    assert.deepEqual(power({ kind: 'running' }), [])
    assert.deepEqual(power({ kind: 'failed', agoMs: 2_999 }), [])
    assert.deepEqual(power({ kind: 'failed', agoMs: 3_000 }), ['use-power-fence'])
  })
  test('writes one pill on each storage of the machines, through a host that reads it', () => {
    const bobSees = { reachableStorages: new Set<typeof sharedId>() }
    const disks = ['shared', 'second'].map((word) => ({
      volumeId: makeVm(word).spec.disks[0]?.volumeId ?? nothing(),
      storageId: storageIdOf(word),
      format: 'raw' as const,
      sizeMiB: 1,
    }))
    const both = { status: { storageIds: [sharedId, storageIdOf('second')] } }
    const [, pill, ...more] = decide({ silentMs: 2_000, bobSees })
    assert.ok(pill?.kind === 'write-pill' && pill.viaHostId === hostIdOf('cyd') && more.length === 0)
    const bobSeesBoth = { reachableStorages: new Set([sharedId, storageIdOf('second')]) }
    assert.deepEqual(kinds({ silentMs: 2_000, vm: { spec: { disks } }, bob: both, bobSees: bobSeesBoth }), [
      'begin',
      'write-pill',
      'write-pill',
    ])
  })
  test('writes no pill that stands or is being written, and none to a host that is not armed', () => {
    for (const state of [{ kind: 'writing' }, { kind: 'standing', stoodMs: 10 }] as const)
      assert.deepEqual(
        kinds({ silentMs: 3_000, question: { progress: { ...unused, pills: new Map([[sharedId, state]]) } } }),
        [],
      )
    assert.deepEqual(kinds({ silentMs: 9_000, ada: { ...withFence, status: { armed: 'none' } } }), [
      'begin',
      'use-power-fence',
    ])
  })
})

describe('the proof', () => {
  const pilled = (stoodMs: number): Partial<FencingQuestion> => ({
    progress: { ...unused, pills: new Map([stood(stoodMs)]) },
  })
  test('by lease needs both: the silence bound, and the pill’s own wait', () => {
    assert.equal(proof({ silentMs: 3_999, question: pilled(60_000) }), undefined)
    assert.equal(proof({ silentMs: 60_000, question: pilled(1_999) }), undefined)
    const given = proof({ silentMs: 4_000, question: pilled(2_000) })
    assert.ok(given?.kind === 'lease' && given.armed === 'soft' && given.pills[0]?.generation === 9)
  })
  test('by lease needs the pill of every storage, and an armed host', () => {
    const disks = ['shared', 'second'].map((word) => ({
      volumeId: makeVm(word).spec.disks[0]?.volumeId ?? nothing(),
      storageId: storageIdOf(word),
      format: 'raw' as const,
      sizeMiB: 1,
    }))
    assert.equal(proof({ silentMs: 60_000, vm: { spec: { disks } }, question: pilled(60_000) }), undefined)
    assert.equal(proof({ silentMs: 60_000, ada: { status: { armed: 'none' } }, question: pilled(60_000) }), undefined)
  })
  test('by power is there as soon as the host is off; the first proof wins', () => {
    const progress: FencingProgress = { ...unused, power: { kind: 'off', tookMs: 70 }, pills: new Map([stood(60_000)]) }
    const given = proof({ ada: withFence, silentMs: 60_000, question: { progress } })
    assert.deepEqual(given?.kind === 'power' && [given.fenceAgent, given.tookMs], ['fence_virsh', 70])
  })
  test('is never given before the fencing has begun', () =>
    assert.equal(proof({ ada: withFence, silentMs: 60_000 }), undefined))
})

function nothing(): never {
  throw new Error('the fixture has a disk')
}
