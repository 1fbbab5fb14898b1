import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { vmIdOf, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import type { Checker, GuestProcess, Observation } from '../observation.ts'
import { capacityNeverExceeded } from './capacity-never-exceeded.ts'
import { checkers } from './checkers.ts'
import { epochsOnlyGrow } from './epochs-only-grow.ts'
import { fencedBeforeRestarted } from './fenced-before-restarted.ts'
import { noAcknowledgedWriteLost } from './no-acknowledged-write-lost.ts'
import { oneWriterPerVolume } from './one-writer-per-volume.ts'
import { proofsAreTrue } from './proofs-are-true.ts'

const vmId = vmIdOf('web')
const volumeId = volumeIdOf('web')
const volumeIds = [volumeId]
const processOf = (hostName: string, epoch: number, incarnation = 0): GuestProcess => ({
  process: `${hostName}#1/${epoch}${incarnation}`,
  hostName,
  vmId,
  epoch,
  incarnation,
})
const old = processOf('ada', 1)
const young = processOf('bob', 2)
const runs = (who: GuestProcess): Observation => ({ kind: 'guest-runs', ...who, volumeIds, memoryMiB: 600 })
const stands = (who: GuestProcess): Observation => ({ kind: 'guest-stands', ...who })
const ended = (who: GuestProcess): Observation => ({ kind: 'process-ended', ...who })
const landed = (who: GuestProcess, stamp: number): Observation => ({ kind: 'write-landed', ...who, volumeId, stamp })
const acknowledged = (who: GuestProcess, stamp: number): Observation => ({
  kind: 'write-acknowledged',
  ...who,
  volumeId,
  stamp,
})
const read = (who: GuestProcess, stamp: number): Observation => ({ kind: 'disk-read', ...who, volumeId, stamp })

const placed = (epoch: number, proof: object | null = null): Observation => {
  const placement = {
    hostId: 'host-ada00000',
    epoch,
    session: 'ses-ada00000',
    bootId: 'boot',
    start: 'boot',
    leased: true,
    term: 1,
    placedAt: '2026-01-01T00:00:00.000Z',
    reason: '',
    proof,
    lastRecovery: null,
  }
  const entry = {
    key: `vm/${vmId}/placement`,
    value: JSON.stringify(placement),
    createRevision: 1,
    modRevision: epoch,
  }
  return { kind: 'committed', changeSet: { revision: epoch, changes: [{ kind: 'put', entry }] } }
}

/** What the checker says of this history, at the end of it. */
function last(check: Checker, ...history: readonly Observation[]): string | undefined {
  const said = history.map((observation, atMs) => check({ ...observation, atMs }))
  assert.deepEqual(
    said.slice(0, -1).filter((message) => message !== undefined),
    [],
  )
  return said.at(-1)
}

describe('one-writer-per-volume', () => {
  test('lets one process follow another', () => {
    assert.equal(
      last(oneWriterPerVolume(), runs(old), landed(old, 1), ended(old), runs(young), landed(young, 2)),
      undefined,
    )
  })

  test('finds a write of a dead process that lands after its successor has begun', () => {
    const late = last(oneWriterPerVolume(), runs(old), landed(old, 1), ended(old), runs(young), landed(old, 2))
    assert.match(late ?? '', /landed on .* after bob#1\/20 had begun/)
  })

  test('finds one that stood still and goes on behind the back of its successor', () => {
    assert.match(last(oneWriterPerVolume(), runs(old), stands(old), runs(young), runs(old)) ?? '', /runs again/)
  })
})

describe('fenced-before-restarted', () => {
  test('lets a machine run elsewhere once its process has ended, or stands still', () => {
    assert.equal(last(fencedBeforeRestarted(), runs(old), ended(old), runs(young)), undefined)
    assert.equal(last(fencedBeforeRestarted(), runs(old), stands(old), runs(young)), undefined)
  })

  test('finds two that run at the same time, before either has written', () => {
    assert.match(last(fencedBeforeRestarted(), runs(old), runs(young)) ?? '', /while it still runs in ada#1\/10/)
  })
})

describe('no-acknowledged-write-lost', () => {
  test('lets what was never acknowledged be lost', () => {
    assert.equal(last(noAcknowledgedWriteLost(), acknowledged(old, 3), landed(old, 4), read(young, 3)), undefined)
  })

  test('finds a disk that is older than what its guest had promised', () => {
    assert.match(
      last(noAcknowledgedWriteLost(), acknowledged(old, 3), read(young, 2)) ?? '',
      /finds stamp 2 .* where 3/,
    )
  })
})

describe('epochs-only-grow', () => {
  test('lets incarnations and epochs follow each other', () => {
    assert.equal(
      last(epochsOnlyGrow(), runs(processOf('ada', 1, 1)), runs(processOf('ada', 1, 2)), runs(young)),
      undefined,
    )
    assert.equal(last(epochsOnlyGrow(), placed(1), placed(1), placed(3)), undefined)
  })

  test('finds an older life that runs after a newer one, and a placement that goes back', () => {
    assert.match(last(epochsOnlyGrow(), runs(young), runs(old)) ?? '', /life 1\.0 .* after bob#1\/20 ran 2\.0/)
    assert.match(last(epochsOnlyGrow(), placed(3), placed(2)) ?? '', /went back from epoch 3 to 2/)
  })
})

describe('proofs-are-true', () => {
  const host = { hostId: 'host-ada00000', hostName: 'ada', provedAt: '2026-01-01T00:00:00.000Z' }
  const proof = { kind: 'power', ...host, fenceAgent: 'fence_ipmilan', tookMs: 300 }

  test('lets a machine be placed anew when it runs nowhere, and says nothing of a first start', () => {
    const history = [placed(1), runs(old), stands(old), placed(2, proof), runs(young)]
    assert.equal(last(proofsAreTrue(), ...history), undefined)
    assert.equal(last(proofsAreTrue(), placed(1), runs(old), placed(2)), undefined)
  })

  test('finds a machine that runs when it is placed on a proof that it is dead', () => {
    assert.match(last(proofsAreTrue(), placed(1), runs(old), placed(2, proof)) ?? '', /proof \(power\) .* runs in ada/)
  })
})

describe('capacity-never-exceeded', () => {
  const boots: Observation = { kind: 'host-on', hostName: 'ada', memoryMiB: 1_000 }
  const other = { ...processOf('ada', 1), process: 'ada#1/2', vmId: vmIdOf('mail') }

  test('lets one machine follow another, also after a new boot', () => {
    assert.equal(last(capacityNeverExceeded(), boots, runs(old), ended(old), runs(other)), undefined)
    const off: Observation = { kind: 'host-off', hostName: 'ada', reason: '' }
    assert.equal(last(capacityNeverExceeded(), boots, runs(old), off, boots, runs(other)), undefined)
  })

  test('finds machines on a host that together have more memory than it', () => {
    assert.match(last(capacityNeverExceeded(), boots, runs(old), runs(other)) ?? '', /1200 MiB on ada, which has 1000/)
  })
})

test('every checker has a planted violation above', () => {
  assert.deepEqual(Object.keys(checkers).length, 6)
})
