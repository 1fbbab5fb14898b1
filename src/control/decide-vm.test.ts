import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  type HostChanges,
  hostIdOf,
  makeCluster,
  makeHost,
  makeReport,
  makeVm,
  sharedId,
  someTime,
  storageIdOf,
  type VmChanges,
} from '../model/cluster-state.fixture.ts'
import { hostStateSchema } from '../model/host.ts'
import { taskIdSchema } from '../model/ids.ts'
import type { Proof } from '../model/proof.ts'
import { type MachineReport, machinePhaseSchema, vmStateSchema } from '../model/vm.ts'
import { decideVm } from './decide-vm.ts'
import { startBackoffMs } from './place-anew.ts'
import type { VmQuestion } from './vm-decision.ts'
import { calm } from './vm-question.fixture.ts'

const proofBase = { hostId: hostIdOf('ada'), hostName: 'ada', provedAt: someTime }
const powerProof: Proof = { kind: 'power', ...proofBase, fenceAgent: 'fence_virsh', tookMs: 10 }
const leaseProof = (storageId = sharedId): Proof => ({
  kind: 'lease',
  ...proofBase,
  armed: 'soft',
  silentMs: 5000,
  leaseBoundMs: 4000,
  pills: [{ storageId, generation: 1, stoodMs: 2000 }],
})
const releasedProof: Proof = {
  kind: 'released',
  ...proofBase,
  session: makeHost('ada').status.session ?? sessionless(),
  upToEpoch: 5,
}
function sessionless(): never {
  throw new Error('the fixture has a session')
}

/** A VM on ada (epoch 5), with bob beside it. */
function decide(wish: { vm?: VmChanges; ada?: HostChanges; bob?: HostChanges; question?: Partial<VmQuestion> }) {
  const vm = makeVm('web', { on: 'ada', ...wish.vm })
  const cluster = makeCluster({ hosts: [makeHost('ada', wish.ada), makeHost('bob', wish.bob)], vms: [vm] })
  return decideVm(cluster, vm, { ...calm, ...wish.question })
}
const report = (changes: Partial<MachineReport>) => ({ report: makeReport('web', changes) })
const fenced = (proof: Proof): HostChanges => ({ status: { state: 'fenced', proof } })

describe('a VM that stands still where only its host has lost the storage', () => {
  const lostStorage = { name: 'shared', unreadBy: [hostIdOf('ada')] }
  const frozen = { ...report({ phase: 'frozen', epoch: 5 }), lostStorage }
  test('is let go there if nothing of it is on its way, and goes on elsewhere on that proof', () => {
    const letGo = decide({ question: frozen })
    assert.ok(letGo.kind === 'release' && letGo.hostId === hostIdOf('ada') && letGo.onlyIfStill)
    const placed = decide({ question: { lostStorage, released: releasedProof } })
    assert.ok(placed.kind === 'place' && placed.hostId === hostIdOf('bob') && placed.proof === releasedProof)
    assert.equal(placed.isRecovery, true)
  })
  test('waits where it is when nobody else could take it, or it has no HA', () => {
    assert.equal(decide({ bob: { status: { memoryMiB: 10 } }, question: frozen }).kind, 'wait')
    assert.equal(decide({ question: report({ phase: 'frozen', epoch: 5 }) }).kind, 'wait')
    assert.equal(decide({ vm: { spec: { ha: false } }, question: frozen }).kind, 'settled')
  })
  test('and is on a host that hears nothing waits: no order would arrive', () => {
    assert.equal(decide({ ada: { status: { state: 'deaf' } }, question: frozen }).kind, 'wait')
  })
})

describe('a VM that is nowhere', () => {
  test('is placed when it is wanted running, and left alone when not, or while a task works on it', () => {
    const cluster = makeCluster({ hosts: [makeHost('ada')] })
    const decideUnplaced = (spec: VmChanges['spec']) => decideVm(cluster, makeVm('web', { spec: spec ?? {} }), calm)
    assert.equal(decideUnplaced({}).kind, 'place')
    assert.deepEqual(decideUnplaced({ desired: 'stopped' }), { kind: 'settled' })
    assert.deepEqual(decideUnplaced({ lifecycle: 'creating' }), { kind: 'settled' })
    assert.deepEqual(decideUnplaced({ lifecycle: 'deleting' }), { kind: 'settled' })
  })

  test('waits while starts are on hold, for its turn, after failures, and for room', () => {
    const vm = makeVm('web')
    const cluster = makeCluster({ hosts: [makeHost('ada')] })
    const kindFor = (question: Partial<VmQuestion>) => decideVm(cluster, vm, { ...calm, ...question }).kind
    assert.equal(kindFor({ startsOnHold: 'the store went back' }), 'wait')
    assert.equal(kindFor({ startOrderDue: 50 }), 'wait')
    assert.equal(kindFor({ startOrderDue: 100 }), 'place')
    assert.equal(kindFor({ failures: { count: 1, lastAgoMs: 999 } }), 'wait')
    assert.equal(kindFor({ failures: { count: 1, lastAgoMs: 1000 } }), 'place')
    assert.equal(decideVm(makeCluster(), vm, calm).kind, 'wait')
  })

  test('gets an epoch that is above all that were ever seen', () => {
    const decision = decideVm(makeCluster({ hosts: [makeHost('ada')] }), makeVm('web'), { ...calm, epochFloor: 42 })
    assert.equal(decision.kind === 'place' && decision.epoch, 42)
  })
})

describe('a VM on a host that answers', () => {
  test('is waited for until the host has reported', () => {
    assert.equal(decide({ question: { hostHasReported: false } }).kind, 'wait')
  })

  test('that was handed over in a move which nobody remembers is started anew there: what it was sent to may have run', () => {
    const decision = decide({ question: report({ phase: 'frozen', isHandedOver: true }) })
    assert.equal(decision.kind, 'place')
    assert.deepEqual(decision.kind === 'place' && [decision.hostId, decision.epoch, decision.start], [
      hostIdOf('ada'),
      6,
      'boot',
    ])
  })

  test('that stands still while one of its disks changes over is let alone', () => {
    const vm = makeVm('web', { on: 'ada' })
    const cluster = makeCluster({ hosts: [makeHost('ada')], vms: [vm] })
    const move = {
      taskId: taskIdSchema.parse('task-aaaaaaaa'),
      fromStorageId: storageIdOf('shared'),
      toStorageId: storageIdOf('other'),
      hostId: hostIdOf('ada'),
      epoch: 5,
      baseVersion: null,
      phase: 'copying' as const,
      startedAt: someTime,
    }
    const volumes = new Map([...cluster.volumes].map(([id, volume]) => [id, { ...volume, move }]))
    const question = { ...calm, ...report({ phase: 'frozen', isHandedOver: true }) }
    assert.deepEqual(decideVm({ ...cluster, volumes }, vm, question), { kind: 'settled' })
  })

  test('is settled while it runs, starts or restarts', () => {
    for (const phase of ['running', 'starting', 'restarting'] as const)
      assert.deepEqual(decide({ question: report({ phase }) }), { kind: 'settled' })
  })

  test('is paused and resumed as its owner wants', () => {
    const paused = decide({ vm: { spec: { desired: 'paused' } }, question: report({ phase: 'running' }) })
    assert.equal(paused.kind === 'change' && paused.change, 'pause')
    const resumed = decide({ question: report({ phase: 'paused' }) })
    assert.equal(resumed.kind === 'change' && resumed.change, 'resume')
  })

  test('is ordered under its epoch when the session that it was placed with does not report it', () => {
    assert.deepEqual(decide({}), { kind: 'start', hostId: hostIdOf('ada'), epoch: 5 })
  })

  test('is not ordered again once the order was accepted', () => {
    assert.notEqual(decide({ question: { startOrder: 'accepted' } }).kind, 'start')
  })

  test('that was released there is placed anew, not ordered under an epoch that is void', () => {
    const decision = decide({ question: { released: releasedProof, startOrder: 'accepted' } })
    assert.equal(decision.kind, 'place')
  })

  test('starts anew there when the agent restarted and holds nothing of it', () => {
    const decision = decide({ vm: { placement: { session: makeHost('bob').status.session ?? sessionless() } } })
    assert.ok(decision.kind === 'place' && decision.hostId === hostIdOf('ada') && decision.epoch === 6)
  })

  test('starts anywhere after a reboot, which proves it dead; without HA and autostart it rests until its owner starts it', () => {
    const vm = { placement: { bootId: 'an-older-boot', session: makeHost('bob').status.session ?? sessionless() } }
    const decision = decide({ vm })
    assert.equal(decision.kind === 'place' && decision.proof?.kind, 'rebooted')
    assert.equal(decide({ vm: { ...vm, spec: { ha: false, autostart: false } } }).kind, 'accept-stop')
  })

  test('that its guest switched off is accepted as stopped, once', () => {
    const off = report({ phase: 'stopped', guestShutdown: true })
    assert.equal(decide({ question: off }).kind, 'accept-stop')
    assert.equal(decide({ vm: { status: { state: 'stopped' } }, question: off }).kind, 'place')
  })

  test('that stopped and is wanted again stays there if it can; elsewhere it goes only after a release', () => {
    const stopped = report({ phase: 'stopped' })
    const stays = decide({ question: stopped })
    assert.ok(stays.kind === 'place' && stays.hostId === hostIdOf('ada') && stays.epoch === 6)
    const full: HostChanges = { status: { memoryMiB: 100 } }
    assert.equal(decide({ ada: full, question: stopped }).kind, 'release')
    const moved = decide({ ada: full, question: { ...stopped, released: releasedProof } })
    assert.ok(moved.kind === 'place' && moved.hostId === hostIdOf('bob') && moved.proof?.kind === 'released')
  })

  test('that failed twice is tried on another host, and on the same when there is no other', () => {
    const failures = { count: 2, lastAgoMs: 60_000 }
    const failed = { ...report({ phase: 'failed' }), failures }
    assert.equal(decide({ question: failed }).kind, 'release')
    const alone = decide({ bob: { status: { state: 'offline' } }, question: failed })
    assert.ok(alone.kind === 'place' && alone.hostId === hostIdOf('ada'), `it is left to: ${alone.kind}`)
  })

  test('that is going down and is wanted again waits until it is down', () => {
    assert.equal(decide({ question: report({ phase: 'stopping' }) }).kind, 'wait')
  })
})

describe('a VM that is wanted stopped', () => {
  const stopping = (question: Partial<VmQuestion>, stopMode: 'shutdown' | 'kill' = 'shutdown') =>
    decide({ vm: { spec: { desired: 'stopped', stopMode } }, question })

  test('hears its power button once, and is killed when it cannot hear or is to be killed', () => {
    const mode = (decision: ReturnType<typeof stopping>) => (decision.kind === 'stop' ? decision.mode : decision.kind)
    assert.equal(mode(stopping(report({ phase: 'running' }))), 'shutdown')
    assert.equal(mode(stopping(report({ phase: 'running' }), 'kill')), 'kill')
    assert.equal(mode(stopping(report({ phase: 'starting' }))), 'kill')
    assert.equal(mode(stopping(report({ phase: 'failed' }))), 'kill')
    assert.equal(mode(stopping(report({ phase: 'stopping' }))), 'settled')
    assert.equal(mode(stopping(report({ phase: 'stopped' }))), 'settled')
    assert.equal(mode(stopping({})), 'settled')
  })

  test('is not left alone when it runs under another epoch than the placement’s', () => {
    assert.notDeepEqual(stopping(report({ epoch: 4, phase: 'running' })), { kind: 'settled' })
  })
})

describe('a VM on a host that is silent', () => {
  const silent: HostChanges = { status: { state: 'suspect' } }

  test('waits without a proof, and the reason says what can be done', () => {
    const decision = decide({ ada: silent })
    assert.match(decision.kind === 'wait' ? decision.reason : '', /not proven dead.*dialtone host confirm-dead ada/)
    assert.doesNotMatch(decision.kind === 'wait' ? decision.reason : '', /is being fenced/)
    const fencing = { generation: 1, term: 1, startedAt: someTime, reason: 'silent' }
    const fenced = decide({ ada: { status: { state: 'suspect', fencing } } })
    assert.match(fenced.kind === 'wait' ? fenced.reason : '', /is being fenced.*dialtone host confirm-dead ada/)
  })

  test('starts elsewhere with a proof of its host, of its release, or of its stop under this epoch', () => {
    const where = (decision: ReturnType<typeof decide>) =>
      decision.kind === 'place' ? decision.proof?.kind : decision.kind
    assert.equal(where(decide({ ada: fenced(powerProof) })), 'power')
    assert.equal(where(decide({ ada: fenced(leaseProof()) })), 'lease')
    assert.equal(where(decide({ ada: silent, question: { released: releasedProof } })), 'released')
    assert.equal(where(decide({ ada: silent, vm: { status: { state: 'stopped', epoch: 5 } } })), 'released')
    assert.equal(where(decide({ ada: silent, vm: { status: { state: 'stopped', epoch: 4 } } })), 'wait')
  })

  test('is not reached by a lease when it has no HA, nor when its storage had no pill', () => {
    assert.equal(decide({ ada: fenced(leaseProof()), vm: { spec: { ha: false } } }).kind, 'wait')
    assert.equal(decide({ ada: fenced(leaseProof(storageIdOf('other'))) }).kind, 'wait')
  })

  test('is not reached by its host’s coming back when it has no HA: the host let go of machines with HA only', () => {
    assert.equal(decide({ ada: fenced(releasedProof), vm: { spec: { ha: false } } }).kind, 'wait')
  })

  test('waits for its host when its disk is there, and without HA for more than a power proof', () => {
    assert.equal(decide({ ada: fenced(powerProof), vm: { spec: { boundToHostId: hostIdOf('ada') } } }).kind, 'wait')
    assert.equal(decide({ ada: fenced(powerProof), vm: { spec: { ha: false } } }).kind, 'wait')
    const word: Proof = { kind: 'operator', ...proofBase, user: 'grace' }
    assert.equal(decide({ ada: fenced(word), vm: { spec: { ha: false } } }).kind, 'place')
  })

  test('waits when its host is no longer known', () => {
    const vm = makeVm('web', { on: 'zoe' })
    assert.equal(decideVm(makeCluster({ hosts: [makeHost('bob')], vms: [vm] }), vm, calm).kind, 'wait')
  })
})

test('the pause after failed starts doubles up to a minute', () => {
  assert.deepEqual([0, 1, 2, 3, 7, 8, 20].map(startBackoffMs), [0, 1_000, 2_000, 4_000, 60_000, 60_000, 60_000])
})

test('whatever is seen: no machine is placed elsewhere without a proof that reaches it, and none while starts are on hold', () => {
  const proofs: readonly (Proof | null)[] = [
    null,
    powerProof,
    leaseProof(),
    leaseProof(storageIdOf('other')),
    releasedProof,
  ]
  const scene = fc.record({
    state: fc.constantFrom(...hostStateSchema.options),
    proof: fc.constantFrom(...proofs),
    isNewSession: fc.boolean(),
    isNewBoot: fc.boolean(),
    ha: fc.boolean(),
    desired: fc.constantFrom('running', 'paused', 'stopped'),
    status: fc.constantFrom(undefined, ...vmStateSchema.options),
    phase: fc.constantFrom(undefined, ...machinePhaseSchema.options),
    reportEpoch: fc.constantFrom(4, 5, 6),
    memoryMiB: fc.constantFrom(100, 4096),
    question: fc.record({
      hostHasReported: fc.boolean(),
      startOrder: fc.constantFrom('not-given', 'accepted', 'spent'),
      strays: fc.constantFrom([], [{ hostId: hostIdOf('bob'), epoch: 4 }]),
      released: fc.constantFrom(undefined, releasedProof),
      startsOnHold: fc.constantFrom(undefined, 'on hold'),
      failures: fc.record({ count: fc.nat(4), lastAgoMs: fc.constantFrom(0, 1e9) }),
    }),
  })
  fc.assert(
    fc.property(scene, (drawn) => {
      const isFenced = drawn.state === 'fenced'
      const decision = decide({
        vm: {
          spec: { ha: drawn.ha, desired: drawn.desired },
          ...(drawn.status === undefined ? {} : { status: { state: drawn.status } }),
          placement: {
            ...(drawn.isNewSession || drawn.isNewBoot
              ? { session: makeHost('cyd').status.session ?? sessionless() }
              : {}),
            ...(drawn.isNewBoot ? { bootId: 'an-older-boot' } : {}),
          },
        },
        ada: { status: { state: drawn.state, proof: isFenced ? drawn.proof : null, memoryMiB: drawn.memoryMiB } },
        question: {
          ...drawn.question,
          report:
            drawn.phase === undefined ? undefined : makeReport('web', { phase: drawn.phase, epoch: drawn.reportEpoch }),
        },
      })
      if (decision.kind !== 'place') return
      assert.equal(drawn.question.startsOnHold, undefined)
      assert.ok(decision.epoch > 5)
      if (decision.hostId === hostIdOf('ada')) return
      const { proof } = decision
      assert.ok(proof !== null, 'it goes elsewhere without a proof')
      const isHostsOwn = isFenced && proof === drawn.proof && drawn.question.released === undefined
      if (isHostsOwn && (proof.kind === 'lease' || proof.kind === 'released'))
        assert.ok(drawn.ha, `a host's ${proof.kind} proof does not reach a machine without HA`)
      if (proof.kind === 'lease') assert.ok(proof.pills.some(({ storageId }) => storageId === sharedId))
    }),
    { seed: 7, numRuns: 2_000 },
  )
})
