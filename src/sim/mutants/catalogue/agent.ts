/** Bugs in what one host does. */
import { liveness, type Mutant, safety } from '../mutant.ts'

const agent = 'src/agent/agent.ts'
const life = 'src/agent/machines/machine-life.ts'
const licence = 'src/agent/machines/apply-licence.ts'
const launch = 'src/agent/machines/launch-machine.ts'
const keeping = 'src/agent/machines/keeping.ts'
const room = 'src/agent/machines/machine-room.ts'
const adoption = 'src/agent/machines/adopt-machine.ts'
const confirmation = 'if (request.needsConfirmation && !(await ports.confirmStart(life))) {'

export const agentMutants: readonly Mutant[] = [
  {
    id: 'lease-from-receipt',
    says: 'A lease is counted from when the answer came, not from when the heartbeat was sent.',
    patches: [
      {
        file: agent,
        find: "if (verdict === 'admitted') licences.acknowledged(sentAtMs)",
        put: "if (verdict === 'admitted') licences.acknowledged(Math.max(sentAtMs, ports.clock.bootTimeMs()))",
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'lease-from-any-answer',
    says: 'Every answer extends the lease, also one that says that the host is being fenced.',
    patches: [
      { file: agent, find: "if (verdict === 'admitted') licences", put: "if (verdict !== 'hold') licences" },
      { file: agent, find: "if (verdict === 'fenced') {", put: 'if (sentAtMs < 0) {' },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'slot-read-from-its-end',
    says: 'A pill-free read counts from when it ended, not from when it began.',
    patches: [
      {
        file: 'src/agent/protection/read-slots.ts',
        find: 'options.licences.pillFreeRead(watch.storageId, startedAtMs)',
        put: 'options.licences.pillFreeRead(watch.storageId, Math.max(startedAtMs, options.clock.bootTimeMs()))',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'slot-from-a-cache',
    says: 'A slot is read once; from then on its content is taken from memory.',
    patches: [
      {
        file: 'src/agent/protection/read-slots.ts',
        find: '  let wasUnreadable = false\n',
        put: '  let wasUnreadable = false\n  let cached: string | undefined | null = null\n',
      },
      {
        file: 'src/agent/protection/read-slots.ts',
        find: 'const content = parseSlot(await watch.storage.readSlot(watch.slot))',
        put: 'cached ??= (await watch.storage.readSlot(watch.slot)) ?? ""\n      const content = parseSlot(cached)',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'pill-taken-for-free',
    says: 'A slot with a pill in it counts as free of one.',
    patches: [
      {
        file: 'src/agent/protection/read-slots.ts',
        find: "if (content.kind === 'pill-free') options",
        put: "if (content.kind !== 'unintelligible') options",
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'fenced-host-holds-on',
    says: 'A host that is told that it is fenced does not let go of its machines.',
    patches: [{ file: agent, find: "if (verdict === 'fenced') {", put: 'if (sentAtMs < 0) {' }],
    caughtBy: liveness,
  },
  {
    id: 'revision-is-not-told',
    says: 'A host does not tell which revision of the store it knows.',
    patches: [
      { file: agent, find: 'highestKnownRevision: state.newest.revision,', put: 'highestKnownRevision: 0,' },
      { file: agent, find: 'storeIncarnation: state.newest.incarnation,', put: 'storeIncarnation: null,' },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'frozen-without-standing-still',
    says: 'A machine without a licence is said to be frozen, and runs.',
    patches: [
      {
        file: licence,
        find: '  await machine.pause()\n  keeping.isStandingInDoubt',
        put: '  keeping.isStandingInDoubt',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'handed-over-is-thawed',
    says: 'A machine that was handed over goes on at its source as soon as that has a licence.',
    patches: [
      {
        file: licence,
        find: "phase === 'frozen' && record.handedOverTo === null) {",
        put: "phase === 'frozen') {",
      },
      {
        file: licence,
        find: '  if (keeping.record.handedOverTo !== null) return\n  await guardMachine(keeping, false)',
        put: '  await guardMachine(keeping, false)',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'thaw-is-not-told',
    says: 'The watchdog is not told that a frozen machine runs again.',
    patches: [
      {
        file: licence,
        find: '  await guardMachine(keeping, false)\n  await machine.resume()',
        put: '  await machine.resume()',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'handing-over-is-not-written-down',
    says: 'An agent does not write down that it has sent a machine to another host.',
    patches: [
      {
        file: 'src/agent/migration/departure.ts',
        find: '  await writeRecord(keeping, { handedOverTo: target.hostName })\n',
        put: '',
      },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'started-without-guard',
    says: 'The watchdog does not hear of a machine that is started.',
    patches: [
      {
        file: launch,
        find: '  await guard(machine, cgroupDirectory, ports)\n  await connectCards',
        put: '  await connectCards',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'adopted-without-guard',
    says: 'The watchdog does not hear of a machine that a new agent has taken over.',
    patches: [
      {
        file: adoption,
        find: '  keeping.running = running\n  await guardMachine(keeping, false)\n',
        put: '  keeping.running = running\n',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'runs-unconfirmed',
    says: 'A machine that was ordered runs without the leader’s word that it is still the owner’s.',
    patches: [{ file: launch, find: confirmation, put: 'if (request.machine.vmId === null) {' }],
    caughtBy: safety,
    survives:
      'A machine with a lease is stopped by its licence as well, and an order that comes late by the claim beside the disk; the confirmation is the third defence.',
  },
  {
    id: 'released-before-reaped',
    says: 'A host answers that it has let go before the processes are gone.',
    patches: [
      {
        file: room,
        find: '    await keeper.release(detail, { onlyIfStill })\n    if (keepers.get(vmId) === keeper && keeper.isReleased()) keepers.delete(vmId)\n',
        put: '    void keeper.release(detail, { onlyIfStill }).catch(() => undefined)\n    if (keepers.get(vmId) === keeper) keepers.delete(vmId)\n',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'guard-ends-before-reaped',
    says: 'The watchdog stops guarding a machine before its processes are gone.',
    patches: [
      {
        file: life,
        find: 'const releasing = enqueue(keeping, async () => {\n',
        put: 'const releasing = enqueue(keeping, async () => {\n    keeping.ports.licences.unguard(keeping.vmId)\n',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'taps-stay',
    says: 'The taps of a machine that is gone stay.',
    patches: [{ file: keeping, find: '  await disconnectCards(record.machine, record.tapName, ports)\n', put: '' }],
    caughtBy: ['no-orphan-taps'],
  },
  {
    id: 'changes-overlap',
    says: 'What changes a machine is not done one after the other.',
    patches: [
      {
        file: keeping,
        find: 'const result = keeping.queue.then(work, work)',
        put: 'const result = work()',
      },
    ],
    caughtBy: [...safety, ...liveness, 'no-orphan-taps'],
  },
  {
    id: 'incarnation-stays',
    says: 'A restart on the spot keeps its incarnation.',
    patches: [
      {
        file: life,
        find: 'incarnation: keeping.record.incarnation + 1, isPaused',
        put: 'incarnation: keeping.record.incarnation, isPaused',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'dead-machine-is-left',
    says: 'A machine whose process died is not brought back.',
    patches: [
      {
        file: life,
        find: 'detail: exit.detail, failedAt: exit.failedAt })\n  await recover(keeping)',
        put: 'detail: exit.detail, failedAt: exit.failedAt })',
      },
    ],
    caughtBy: liveness,
  },
  {
    id: 'refused-write-is-final',
    says: 'A machine whose storage refused a write is not let go on.',
    patches: [
      {
        file: life,
        find: "event.state === 'io-error')",
        put: "event.state === 'nowhere')",
      },
    ],
    caughtBy: liveness,
  },
  {
    id: 'never-confirmed',
    says: 'It is not written down that a machine has run.',
    patches: [
      {
        file: life,
        find: '  await writeRecord(keeping, { confirmed: true })\n',
        put: '',
      },
    ],
    caughtBy: liveness,
  },
  {
    id: 'records-of-an-older-boot-count',
    says: 'After a boot an agent starts again what ran there before it, whoever owns that now.',
    patches: [
      { file: room, find: 'records.filter((record) => record.bootId === ports.bootId)', put: 'records' },
      {
        file: room,
        find: 'if (record.bootId !== ports.bootId) await ports',
        put: "if (record.bootId === '') await ports",
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'older-term-is-obeyed',
    says: 'An order of an older term is obeyed.',
    patches: [{ file: room, find: 'if (authority.term < highestTerm) {', put: 'if (authority.term < 0) {' }],
    caughtBy: safety,
    survives: 'An older order carries an older epoch or session too, and is refused for that.',
  },
  {
    id: 'older-orders-are-obeyed',
    says: 'Orders of an older session, an older term and an older epoch are obeyed, also after a release.',
    patches: [
      { file: room, find: 'if (authority.session !== session) {', put: "if (authority.session === '') {" },
      { file: room, find: 'if (authority.term < highestTerm) {', put: 'if (authority.term < 0) {' },
      { file: room, find: '  if (epoch <= released)\n', put: '  if (epoch < 0)\n' },
      { file: room, find: '  if (epoch < held) throw', put: '  if (epoch < 0) throw' },
      { file: launch, find: confirmation, put: 'if (request.machine.vmId === null) {' },
    ],
    caughtBy: safety,
  },
  {
    id: 'let-go-in-the-middle-of-a-request',
    says: 'A machine that is just being tried again is let go for a storage that only its host has lost.',
    patches: [
      {
        file: life,
        find: 'if (onlyIfStill && !isStill(keeping))',
        put: "if (onlyIfStill && keeping.phase !== 'frozen')",
      },
    ],
    caughtBy: safety,
    shownBy: 'unread',
  },
]
