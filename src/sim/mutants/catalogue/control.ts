/** Bugs in the decisions. */
import { liveness, type Mutant, safety } from '../mutant.ts'

const fencing = 'src/control/decide-fencing.ts'
const decideVm = 'src/control/decide-vm.ts'
const settled = "{ kind: 'settled' }"

export const controlMutants: readonly Mutant[] = [
  {
    id: 'silence-is-proof-enough',
    says: 'A machine whose host is silent is started elsewhere without a proof.',
    patches: [
      { file: decideVm, find: 'if (proof === undefined)\n', put: "if (host?.status.state === 'online')\n" },
      {
        file: decideVm,
        find: "if (!vm.spec.ha && proof.kind !== 'operator' && proof.kind !== 'released') {",
        put: 'if (!vm.spec.ha) {',
      },
      {
        file: decideVm,
        find: 'return placeAnew(cluster, vm, { question, proof, isRecovery: true })\n}\n\n/** It had stopped',
        put: 'return placeAnew(cluster, vm, { question, ...(proof === undefined ? {} : { proof }), isRecovery: true })\n}\n\n/** It had stopped',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'proof-without-waiting',
    says: 'The proof by lease is taken as soon as a pill stands: neither lease nor R is waited for.',
    patches: [
      { file: fencing, find: 'if (context.observation.silentMs < leaseBoundMs) return undefined', put: '' },
      {
        file: fencing,
        find: "if (pill?.kind !== 'standing' || pill.stoodMs < pillProofAfterMs(timings)) return undefined",
        put: "if (pill?.kind !== 'standing') return undefined",
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'pill-wait-left-out',
    says: 'A pill proves something from the moment on when it stands.',
    patches: [
      {
        file: fencing,
        find: "if (pill?.kind !== 'standing' || pill.stoodMs < pillProofAfterMs(timings)) return undefined",
        put: "if (pill?.kind !== 'standing') return undefined",
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'pill-is-not-required',
    says: 'The end of the lease is a proof also while a pill is still being written.',
    patches: [
      {
        file: fencing,
        find: "if (pill?.kind !== 'standing' || pill.stoodMs < pillProofAfterMs(timings)) return undefined\n    pills.push({ storageId, generation: progress.generation, stoodMs: pill.stoodMs })",
        put: "pills.push({ storageId, generation: progress.generation, stoodMs: pill?.kind === 'standing' ? pill.stoodMs : 0 })",
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'unarmed-hosts-proven-by-lease',
    says: 'The end of a lease proves something also of a host on which nothing enforces it.',
    patches: [
      {
        file: fencing,
        find: "if (progress === undefined || host.status.armed === 'none') return undefined",
        put: 'if (progress === undefined) return undefined',
      },
      {
        file: fencing,
        find: "if (host.status.armed === 'none' || observation.attentiveSilentMs",
        put: 'if (observation.attentiveSilentMs',
      },
      { file: fencing, find: '    armed: host.status.armed,\n', put: "    armed: 'hard',\n" },
      {
        file: 'src/engine/vms/commit-decision.ts',
        find: "leased: isLeased(vm.spec, leader.index.state().storages) && armed !== 'none',",
        put: 'leased: isLeased(vm.spec, leader.index.state().storages),',
      },
      {
        file: 'src/control/place-vm.ts',
        find: "if (isLeased(vm, cluster.storages) && status.armed === 'none' && spec.fence === null) {",
        put: "if (isLeased(vm, cluster.storages) && status.state === 'fenced') {",
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'mass-silence-ignored',
    says: 'Hosts are fenced although most of them fell silent together.',
    patches: [
      { file: fencing, find: 'if (mass.isMass) {', put: 'if (mass.total < 0) {' },
      { file: fencing, find: 'if (massAgoMs < cluster.cluster.timings.leaseMs)', put: 'if (massAgoMs < 0)' },
    ],
    caughtBy: ['no-false-failover'],
  },
  {
    id: 'no-time-to-come-back',
    says: 'A host is fenced in the moment in which the network comes back, before it could report.',
    patches: [
      {
        file: fencing,
        find: 'if (massAgoMs < cluster.cluster.timings.leaseMs)',
        put: 'if (massAgoMs < 0)',
      },
    ],
    caughtBy: ['no-false-failover'],
  },
  {
    id: 'stalled-agent-loses-power',
    says: 'The power fence is used although the kernel of the host answers.',
    patches: [
      {
        file: fencing,
        find: 'const isAnswering = observation.kernelAnsweredAgoMs < suspectAfterMs',
        put: 'const isAnswering = observation.kernelAnsweredAgoMs < -suspectAfterMs',
      },
    ],
    caughtBy: ['no-false-failover'],
  },
  {
    id: 'stop-is-not-looked-at',
    says: 'What a silent host’s machine last did is taken for a proof, whether it had stopped or not.',
    patches: [
      {
        file: decideVm,
        find: "if (status?.state !== 'stopped' || placement === undefined || status.epoch",
        put: 'if (status === undefined || placement === undefined || status.epoch',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'strays-are-left',
    says: 'A life of a machine that is not the placed one is left alone.',
    patches: [
      { file: decideVm, find: 'if (stray !== undefined) {', put: 'if (stray !== undefined && stray.epoch < 0) {' },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'forgotten-move-is-left',
    says: 'A machine that was handed over in a move which nobody remembers stands still for ever.',
    patches: [
      {
        file: decideVm,
        find: 'if (current.isHandedOver && vm.migration === undefined',
        put: 'if (current.isHandedOver && vm.migration?.epoch === -1',
      },
    ],
    caughtBy: liveness,
  },
  {
    id: 'pause-is-not-ordered',
    says: 'A running machine is not told to pause.',
    patches: [
      { file: decideVm, find: "if (vm.spec.desired === 'paused') return", put: "if (vm.spec.id === '') return" },
    ],
    caughtBy: liveness,
  },
  {
    id: 'resume-is-not-ordered',
    says: 'A paused machine is not told to go on.',
    patches: [
      {
        file: decideVm,
        find: "return vm.spec.desired === 'running' ? { kind: 'change', ...order, change: 'resume' } : { kind: 'settled' }",
        put: `return ${settled}`,
      },
    ],
    caughtBy: liveness,
  },
  {
    id: 'void-order-is-settled',
    says: 'A start that came to nothing is taken for one that is under way.',
    patches: [
      {
        file: decideVm,
        find: "case 'spent':\n      return placeAnew(cluster, vm, { question, preferred: placement.hostId, oldPlacement: placement })",
        put: `case 'spent':\n      return ${settled}`,
      },
    ],
    caughtBy: liveness,
  },
  {
    id: 'failed-start-is-final',
    says: 'A machine that has failed is not started again.',
    patches: [
      {
        file: decideVm,
        find: "case 'failed':\n      return placeAfterFailure(cluster, vm, situation)",
        put: `case 'failed':\n      return ${settled}`,
      },
    ],
    caughtBy: liveness,
  },
  {
    id: 'memory-is-not-counted',
    says: 'A host’s memory counts as free whatever runs there.',
    patches: [
      {
        file: 'src/control/place-vm.ts',
        find: 'const freeMiB = status.memoryMiB - used.memoryMiB',
        put: 'const freeMiB = status.memoryMiB',
      },
    ],
    caughtBy: ['capacity-never-exceeded'],
  },
  {
    id: 'epoch-floor-ignored',
    says: 'After the store went back, epochs are given again that hosts have already seen.',
    patches: [
      {
        file: 'src/control/place-anew.ts',
        find: 'epoch: Math.max(nextEpoch(vm), question.epochFloor),',
        put: 'epoch: nextEpoch(vm),',
      },
    ],
    caughtBy: [...safety, ...liveness],
  },
]
