/** Which host would take a machine over: chosen beforehand, kept as long as it serves, and given up when nobody needs it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type HostChanges,
  hostIdOf,
  imageIdOf,
  makeCluster,
  makeHost,
  makeImage,
  makeReadiness,
  makeVm,
  sessionIdOf,
  someTime,
  type VmChanges,
} from '../model/cluster-state.fixture.ts'
import type { VmRecord } from '../model/cluster-state.ts'
import { decideStandby } from './decide-standby.ts'

const imageIsThere = (word = 'one') => ({ recovery: { ...makeReadiness(), image: makeImage(word) } })
const onBob: NonNullable<VmRecord['standby']> = {
  hostId: hostIdOf('bob'),
  session: sessionIdOf('bob'),
  imageId: imageIdOf('one'),
  chosenAt: someTime,
  reason: 'it fits best',
}

/** A machine with HA and an image on ada that recovers warm, with bob and cyd beside it. */
function decide(wish: {
  readonly vm?: VmChanges
  readonly hosts?: Readonly<Record<string, HostChanges>>
  readonly others?: readonly VmRecord[]
}) {
  const vm = makeVm('web', {
    on: 'ada',
    status: imageIsThere(),
    ...wish.vm,
    spec: { recovery: { mode: 'warm' }, ...wish.vm?.spec },
  })
  const hosts = ['ada', 'bob', 'cyd'].map((name) => makeHost(name, wish.hosts?.[name]))
  return decideStandby(makeCluster({ hosts, vms: [vm, ...(wish.others ?? [])] }), vm)
}
const hostOf = (decision: ReturnType<typeof decide>) =>
  decision.kind === 'choose' ? `${decision.hostId} ${decision.imageId}` : decision.kind
const away: HostChanges = { status: { state: 'offline' } }
const full: HostChanges = { status: { memoryMiB: 100 } }

describe('a standby is chosen', () => {
  test('on another host than the machine’s own, as soon as there is an image', () => {
    assert.equal(hostOf(decide({})), `${hostIdOf('bob')} ${imageIdOf('one')}`)
    assert.equal(decide({ vm: { status: { recovery: makeReadiness() } } }).kind, 'settled')
    assert.equal(decide({ vm: { status: {} } }).kind, 'settled')
  })

  test('where there is room', () => {
    assert.equal(hostOf(decide({ hosts: { bob: full } })), `${hostIdOf('cyd')} ${imageIdOf('one')}`)
    assert.equal(decide({ hosts: { bob: full, cyd: away } }).kind, 'settled')
  })

  test('not for a machine that boots, has no HA, or is not wanted', () => {
    for (const spec of [
      { recovery: { mode: 'boot' } },
      { ha: false },
      { desired: 'stopped' },
      { lifecycle: 'deleting' },
    ] as const)
      assert.equal(decide({ vm: { spec } }).kind, 'settled', JSON.stringify(spec))
  })
})

describe('a standby that was chosen', () => {
  test('stays, though another host has become emptier', () => {
    const others = [makeVm('app', { on: 'bob' }), makeVm('db', { on: 'bob' })]
    assert.equal(decide({ vm: { standby: onBob }, others }).kind, 'settled')
  })

  test('stays while its host is silent for a moment, and while the machine’s own host is', () => {
    assert.equal(decide({ vm: { standby: onBob }, hosts: { bob: { status: { state: 'suspect' } } } }).kind, 'settled')
    const unknown = { state: 'unknown', recovery: null } as const
    const suspect = { ada: { status: { state: 'suspect' } } } as const
    assert.equal(decide({ vm: { standby: onBob, status: unknown }, hosts: suspect }).kind, 'settled')
  })

  test('is chosen anew elsewhere when its host dies, is to be maintained, or has no room any more', () => {
    for (const bob of [away, full, { status: { state: 'maintenance' } }] as const)
      assert.equal(hostOf(decide({ vm: { standby: onBob }, hosts: { bob } })), `${hostIdOf('cyd')} ${imageIdOf('one')}`)
  })

  test('is ordered anew on the same host when its agent has another session', () => {
    const bob = { status: { session: sessionIdOf('bobagain') } }
    assert.equal(hostOf(decide({ vm: { standby: onBob }, hosts: { bob } })), `${hostIdOf('bob')} ${imageIdOf('one')}`)
  })

  test('gets the new image when there is one, on the same host', () => {
    const vm = { standby: onBob, status: imageIsThere('two') }
    assert.equal(hostOf(decide({ vm })), `${hostIdOf('bob')} ${imageIdOf('two')}`)
  })

  test('is dismissed when no host has room, and when nobody needs it any more', () => {
    const dismissed = (wish: Parameters<typeof decide>[0]) => {
      const decision = decide({ ...wish, vm: { standby: onBob, ...wish.vm } })
      return decision.kind === 'dismiss' ? decision.reason : decision.kind
    }
    assert.match(dismissed({ hosts: { bob: full, cyd: full } }), /no other host has room/)
    assert.match(dismissed({ vm: { spec: { desired: 'stopped' } } }), /stopped/)
    assert.match(dismissed({ vm: { spec: { lifecycle: 'deleting' } } }), /deleted/)
    assert.match(dismissed({ vm: { spec: { recovery: { mode: 'boot' } } } }), /by booting/)
    assert.match(dismissed({ vm: { on: 'bob' } }), /runs there/)
  })
})

describe('memory that is kept free', () => {
  const of = (name: string, on: string, memoryMiB: number) =>
    makeVm(name, { on, spec: { recovery: { mode: 'warm' }, memoryMiB }, standby: { ...onBob } })

  test('counts once: machines of two hosts share it, those of one host do not', () => {
    const hosts = { bob: { status: { memoryMiB: 500 } }, cyd: away }
    assert.equal(hostOf(decide({ hosts, others: [of('app', 'cyd', 256)] })), `${hostIdOf('bob')} ${imageIdOf('one')}`)
    assert.equal(decide({ hosts, others: [of('app', 'ada', 256)] }).kind, 'settled')
  })
})
