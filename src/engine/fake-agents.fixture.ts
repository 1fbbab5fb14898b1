/**
 * Hosts in memory that speak the agents' side of the protocol: they hold machines under a licence, read pills, let go, and answer orders
 * as an agent does. A test cuts them off, makes them refuse, or lets answers get lost. Two writers of one VM are noticed at once.
 */
import type { Acknowledgement, Heartbeat } from '../model/agent-protocol/heartbeat.ts'
import type { Clock } from '../model/clock.ts'
import { makeImage } from '../model/cluster-state.fixture.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { Armed, HostSpec } from '../model/host.ts'
import type { HostCommandReport } from '../model/host-command.ts'
import { type HostId, type StorageId, sessionIdSchema, type VmId, type VolumeId } from '../model/ids.ts'
import type { MachineOrder, OrderAuthority } from '../model/machine-order.ts'
import { judgeLicence, mayStayAlive } from '../model/protection/licence.ts'
import type { Pill } from '../model/protection/pill.ts'
import type { StorageSpec } from '../model/storage.ts'
import type { Timings } from '../model/timings.ts'
import type { MachinePhase } from '../model/vm.ts'
import type { AgentPort, FencePort } from './agent-port.ts'
import { fakeClones } from './fake-clones.fixture.ts'
import { createFakeDisks, type FakeDisks } from './fake-disks.fixture.ts'
import {
  type FakeHost,
  hardwareAfter,
  isWriting,
  type Machine,
  makeFakeHost,
  makeMachine,
  reportOf,
} from './fake-host.fixture.ts'
import { fakeMoves } from './fake-moves.fixture.ts'
import { createFakeLayers, type FakeLayers, fakeSnapshots } from './fake-snapshots.fixture.ts'
import { fakeVolumeMoves } from './fake-volume-moves.fixture.ts'

export type Call = keyof AgentPort
export type FakeAgents = {
  readonly port: AgentPort
  readonly fences: FencePort & { refuses: boolean; tookMs: number }
  readonly hosts: ReadonlyMap<HostId, FakeHost>
  readonly volumes: ReadonlySet<VolumeId>
  /** What is on which storage. */
  readonly disks: FakeDisks
  readonly pills: Map<string, Pill>
  /** The layers of volumes, and the snapshots beside them. */
  readonly layers: FakeLayers
  /** VMs that ever ran on two hosts at once, in sentences. Has to stay empty. */
  readonly twoWriters: string[]
  /** Every order that reached a host and was carried out. */
  readonly orders: string[]
  /** Asked before and after the effect of each order; what it throws is the order's answer. */
  intercept: (call: Call, moment: 'before' | 'after', host: FakeHost) => void
  /** What an administrator's command does there, and its exit code; undefined when it never ends. */
  carryOut: (host: FakeHost, command: string) => number | undefined
  /** Orders that take longer than others before they have their effect. */
  readonly takesMs: Map<Call, number>
  /** Orders whose answer takes longer than others after their effect. */
  readonly answersAfterMs: Map<Call, number>
  /** Where heartbeats go; undefined while no controller is there. */
  receive: ((hostId: HostId, heartbeat: Heartbeat) => Promise<Acknowledgement>) | undefined
  host(name: string): FakeHost
  runningOn(vmId: VmId): readonly string[]
  restartAgent(name: string, options?: { readonly losesFirstHeartbeat?: boolean }): void
  reboot(name: string): void
  shutDownGuest(name: string, vmId: VmId): void
}

export type FakeAgentsOptions = {
  readonly hosts: readonly { readonly spec: HostSpec; readonly armed?: Armed }[]
  readonly storages: readonly StorageSpec[]
  readonly timings: Timings
  readonly clock: Clock
  readonly signal: AbortSignal
}

const orderTakesMs = 2

export function createFakeAgents(options: FakeAgentsOptions): FakeAgents {
  const { clock, timings, storages } = options
  const disks = createFakeDisks()
  const hosts = new Map<HostId, FakeHost>()
  const storagesOf = (host: FakeHost) =>
    storages.filter(({ hostId }) => hostId === null || hostId === host.spec.id).map(({ id }) => id)
  const pills = new Map<string, Pill>()
  const layers = createFakeLayers()
  const twoWriters: string[] = []
  const orders: string[] = []
  let sessions = 0
  let images = 0
  const newSession = () => sessionIdSchema.parse(`ses-${String((sessions += 1)).padStart(8, '0')}`)
  const pillKey = (storageId: StorageId, slot: number) => `${storageId}/${slot}`

  const runningOn = (vmId: VmId): string[] =>
    [...hosts.values()].filter((host) => isWriting(host.machines.get(vmId))).map((host) => host.spec.name)

  const become = (host: FakeHost, vmId: VmId, phase: MachinePhase) => {
    const machine = host.machines.get(vmId)
    if (machine === undefined) return
    machine.phase = phase
    if (isWriting(machine)) disks.write(machine.order, machine.epoch)
    const writers = runningOn(vmId)
    if (writers.length > 1) twoWriters.push(`${machine.order.name} runs on ${writers.join(' and ')}`)
  }

  for (const { spec, armed } of options.hosts) hosts.set(spec.id, makeFakeHost(spec, armed ?? 'soft', newSession()))

  const fakes: FakeAgents = {
    port: createPort(),
    fences: {
      refuses: false,
      tookMs: 100,
      async switchOff(spec) {
        await clock.sleep(fakes.fences.tookMs)
        if (fakes.fences.refuses) throw new DialtoneError('host-unreachable', 'the power board does not answer')
        const host = hosts.get(spec.id)
        if (host === undefined) return
        host.isOff = true
        host.machines.clear()
      },
      switchOn: async (spec) => {
        const host = hosts.get(spec.id)
        if (host?.isOff === true) fakes.reboot(host.spec.name)
      },
    },
    hosts,
    get volumes() {
      return disks.volumeIds()
    },
    disks,
    pills,
    layers,
    twoWriters,
    orders,
    intercept: () => undefined,
    carryOut: () => 0,
    takesMs: new Map(),
    answersAfterMs: new Map(),
    receive: undefined,
    host: (name) => {
      const found = [...hosts.values()].find(({ spec }) => spec.name === name)
      if (found === undefined) throw new Error(`no fake host ${name}`)
      return found
    },
    runningOn,
    restartAgent(name, { losesFirstHeartbeat = false } = {}) {
      const host = fakes.host(name)
      host.session = newSession()
      host.agentLife += 1
      host.released.clear()
      host.records = []
      host.recordsMade = 0
      host.standbys.clear()
      host.highestKnownRevision = 0
      host.storeIncarnation = null
      for (const [vmId, machine] of host.machines) {
        if (machine.phase === 'starting') host.machines.delete(vmId)
        machine.move = { state: 'none', looks: 0, targetId: undefined, copied: [] }
      }
      void live(host, losesFirstHeartbeat ? 1 : 0)
    },
    reboot(name) {
      const host = fakes.host(name)
      host.machines.clear()
      host.bootId = `boot-${name}-${Number(host.bootId.split('-').at(-1)) + 1}`
      host.isOff = false
      fakes.restartAgent(name)
    },
    shutDownGuest(name, vmId) {
      const machine = fakes.host(name).machines.get(vmId)
      if (machine === undefined) return
      machine.guestShutdown = true
      machine.phase = 'stopped'
    },
  }
  for (const host of hosts.values()) void live(host, 0)
  return fakes

  /** One life of one agent: beats, reads its slots, and acts by its licence, until a newer session takes over. */
  async function live(host: FakeHost, firstSequence: number): Promise<void> {
    const { session } = host
    const facts = {
      acknowledgedHeartbeatSentAtMs: null as number | null,
      pillFreeReadStartedAtMs: new Map<StorageId, number>(),
      pills: new Set<StorageId>(),
    }
    const tickMs = 50
    for (let tick = 0, sequence = firstSequence; isAlive(); tick += 1) {
      readSlots(host, facts)
      applyLicences(host, facts)
      if (tick % (timings.heartbeatMs / tickMs) === 0) {
        const heartbeat = compose(host, { sequence, pills: facts.pills })
        sequence += 1
        void beat(host, heartbeat).then((sentAtMs) => {
          if (sentAtMs === undefined) return
          facts.acknowledgedHeartbeatSentAtMs = sentAtMs
          facts.pills.clear()
        })
      }
      await clock.sleep(tickMs, options.signal)
    }
    function isAlive() {
      return host.session === session && !options.signal.aborted && !host.isOff
    }
  }

  /** When it was sent, if it extends the lease. */
  async function beat(host: FakeHost, heartbeat: Heartbeat): Promise<number | undefined> {
    const sentAtMs = clock.bootTimeMs()
    await clock.sleep(1)
    if (host.isCut || host.isOff || host.isStalled || fakes.receive === undefined) return undefined
    const answer = await fakes.receive(host.spec.id, heartbeat).catch(() => undefined)
    if (host.isDeaf) host.unanswered += 1
    if (answer === undefined || host.isCut || host.isDeaf || host.session !== heartbeat.session) return undefined
    host.unanswered = 0
    host.highestKnownRevision = answer.storeRevision
    host.storeIncarnation = answer.storeIncarnation
    host.configurationRevision = answer.configuration?.revision ?? host.configurationRevision
    host.firewall = answer.configuration?.firewall ?? host.firewall
    host.records = host.records.filter(({ sequence: number }) => number > answer.recordsStoredUpTo)
    if (answer.verdict === 'hold') return undefined
    if (answer.verdict === 'fenced') {
      for (const [vmId, { order }] of host.machines) if (order.leased) host.machines.delete(vmId)
      return undefined
    }
    for (const { vmId, epoch } of heartbeat.pendingStarts) {
      const isConfirmed = answer.confirmedStarts.some((start) => start.vmId === vmId && start.epoch === epoch)
      if (host.machines.get(vmId)?.epoch === epoch) become(host, vmId, isConfirmed ? 'running' : 'failed')
    }
    return sentAtMs
  }

  function compose(
    host: FakeHost,
    { sequence, pills: seen }: { readonly sequence: number; readonly pills: ReadonlySet<StorageId> },
  ): Heartbeat {
    const machines = [...host.machines].map(([vmId, machine]) => reportOf(vmId, machine))
    return {
      session: host.session,
      agentLife: host.agentLife,
      bootId: host.bootId,
      sequence,
      unanswered: host.unanswered,
      armed: host.armed,
      facts: {
        cpus: 4,
        memoryMiB: host.memoryMiB,
        accelerator: 'tcg',
        qemuVersion: '7.2.22',
        machineType: 'pc-q35-7.2',
        cpuModel: 'max',
        firewall: 'bridge-conntrack',
        firewallDetail: 'nftables on the bridge, which follows connections itself',
        guestSupport: [],
        networkFaults: {},
      },
      machines,
      pendingStarts: machines
        .filter(({ vmId, phase }) => phase === 'starting' && host.machines.get(vmId)?.isArriving === false)
        .map(({ vmId, epoch }) => ({ vmId, epoch })),
      storages: storagesOf(host).map((storageId) => ({
        storageId,
        probeAgeMs: host.isWithoutStorage ? 60_000 : 0,
        pill: seen.has(storageId),
        freeMiB: host.freeMiB,
      })),
      standbys: [...host.standbys].map(([vmId, imageId]) => ({ vmId, imageId, state: 'ready', detail: '' })),
      records: host.records.slice(0, 100),
      configurationRevision: host.configurationRevision,
      highestKnownRevision: host.highestKnownRevision,
      highestKnownEpoch: Math.max(0, ...machines.map(({ epoch }) => epoch), ...host.released.values()),
      highestKnownTerm: host.highestKnownTerm,
      storeIncarnation: host.storeIncarnation,
    }
  }

  function readSlots(
    host: FakeHost,
    facts: { readonly pillFreeReadStartedAtMs: Map<StorageId, number>; readonly pills: Set<StorageId> },
  ): void {
    if (host.isWithoutStorage) return
    for (const storageId of storagesOf(host)) {
      if (pills.has(pillKey(storageId, host.spec.number))) facts.pills.add(storageId)
      else if (!facts.pills.has(storageId)) facts.pillFreeReadStartedAtMs.set(storageId, clock.bootTimeMs())
    }
  }

  function applyLicences(host: FakeHost, facts: Parameters<typeof judgeLicence>[0]): void {
    const nowMs = clock.bootTimeMs()
    for (const [vmId, machine] of host.machines) {
      if (!machine.order.leased || host.armed === 'none') continue
      const shared = machine.order.disks.map((disk) => disk.storageId)
      const isFrozen = machine.phase === 'frozen'
      if (!mayStayAlive(facts, { storageIds: shared, isFrozen, nowMs }, timings)) host.machines.delete(vmId)
      const verdict = judgeLicence(facts, { storageIds: shared, nowMs }, timings).kind
      if (verdict === 'freeze' && machine.phase === 'running') become(host, vmId, 'frozen')
      if (verdict === 'licensed' && isFrozen && !machine.isHandedOver) become(host, vmId, 'running')
    }
  }

  /** What every order has in common: it travels, it may be refused or get lost, and the session has to fit. */
  async function reach<T>(
    { spec, call, authority }: { readonly spec: HostSpec; readonly call: Call; readonly authority?: OrderAuthority },
    effect: (host: FakeHost) => T,
  ): Promise<T> {
    const host = hosts.get(spec.id)
    await clock.sleep(fakes.takesMs.get(call) ?? orderTakesMs)
    if (host === undefined || host.isCut || host.isDeaf || host.isOff)
      throw new DialtoneError('host-unreachable', `${spec.name} does not answer`)
    if (authority !== undefined && authority.session !== host.session)
      throw new DialtoneError('session-void', `the session of ${spec.name} is ${host.session}`)
    if (authority !== undefined && authority.term < host.highestKnownTerm)
      throw new DialtoneError('session-void', `term ${host.highestKnownTerm} has been heard of`)
    host.highestKnownTerm = authority?.term ?? host.highestKnownTerm
    fakes.intercept(call, 'before', host)
    const result = effect(host)
    orders.push(`${call} ${spec.name}`)
    fakes.intercept(call, 'after', host)
    await clock.sleep(fakes.answersAfterMs.get(call) ?? orderTakesMs)
    if (host.isCut) throw new DialtoneError('deadline-exceeded', `${spec.name} did not answer in time`)
    return result
  }

  function createPort(): AgentPort {
    const held = (host: FakeHost, vmId: VmId, epoch: number): Machine => {
      const machine = host.machines.get(vmId)
      if (machine === undefined) throw new DialtoneError('not-found', `${vmId} is not held`)
      if (machine.epoch !== epoch) throw new DialtoneError('stale-epoch', `it is held under epoch ${machine.epoch}`)
      return machine
    }
    const release = (host: FakeHost, vmId: VmId, upToEpoch: number) => {
      host.released.set(vmId, Math.max(upToEpoch, host.released.get(vmId) ?? 0))
      if ((host.machines.get(vmId)?.epoch ?? 0) > upToEpoch)
        throw new DialtoneError('stale-epoch', 'it is held under a newer epoch')
      host.machines.delete(vmId)
      return { session: host.session, upToEpoch }
    }
    const start = (host: FakeHost, machine: MachineOrder, epoch: number) => {
      const heldEpoch = host.machines.get(machine.vmId)?.epoch ?? 0
      if (epoch <= (host.released.get(machine.vmId) ?? 0) || epoch < heldEpoch)
        throw new DialtoneError('stale-epoch', `${machine.name} was released here, or is held under ${heldEpoch}`)
      if (epoch === heldEpoch) return
      const phase = host.failsStarts ? 'failed' : 'starting'
      host.machines.set(machine.vmId, makeMachine(machine, epoch, phase))
      // Its own agent keeps what it needs from now on.
      host.standbys.delete(machine.vmId)
    }
    const runCommand = (host: FakeHost, runId: string, command: string): HostCommandReport => {
      const before = host.commands.get(runId)
      if (before !== undefined) return before
      host.commands.set(runId, { state: 'cut-off', exitCode: null, output: '' })
      const exitCode = fakes.carryOut(host, command)
      if (exitCode !== undefined) host.commands.set(runId, { state: 'ended', exitCode, output: `${command} done\n` })
      return { state: 'running', exitCode: null, output: '' }
    }
    const writePill = (key: string, pill: Pill | null) => {
      if (pill === null) pills.delete(key)
      else pills.set(key, pill)
    }
    const requireStorage = (host: FakeHost, storageId: StorageId) => {
      if (!storagesOf(host).includes(storageId)) throw new DialtoneError('storage-failed', `it has no ${storageId}`)
    }
    const writersOf = (volumeId: VolumeId) =>
      [...hosts.values()].flatMap(({ machines }) =>
        [...machines.values()]
          .filter((machine) => isWriting(machine) && machine.order.disks.some((disk) => disk.volumeId === volumeId))
          .map(({ order }) => order),
      )
    return {
      startMachine: (spec, { authority, epoch, machine }) =>
        reach({ spec, call: 'startMachine', authority }, (host) => start(host, machine, epoch)),
      stopMachine: (spec, { vmId, authority, epoch, mode }) =>
        reach({ spec, call: 'stopMachine', authority }, (host) => {
          const machine = held(host, vmId, epoch)
          if (mode === 'kill') release(host, vmId, epoch)
          else machine.phase = 'stopped'
        }),
      changeMachine: (spec, { vmId, authority, epoch, change }) =>
        reach({ spec, call: 'changeMachine', authority }, (host) => {
          held(host, vmId, epoch)
          become(host, vmId, change === 'pause' ? 'paused' : 'running')
        }),
      releaseMachine: (spec, { vmId, authority, upToEpoch, onlyIfStill = false }) =>
        reach({ spec, call: 'releaseMachine', authority }, (host) => {
          if (onlyIfStill && host.machines.get(vmId)?.phase !== 'frozen')
            throw new DialtoneError('wrong-state', `${vmId} may have a write on its way`)
          return release(host, vmId, upToEpoch)
        }),
      createVolume: (spec, { authority, ...place }) =>
        reach({ spec, call: 'createVolume', authority }, (host) => {
          requireStorage(host, place.storageId)
          disks.create(place)
        }),
      deleteVolume: (spec, { authority, ...place }) =>
        reach({ spec, call: 'deleteVolume', authority }, (host) => {
          requireStorage(host, place.storageId)
          disks.remove(place, writersOf(place.volumeId))
        }),
      writePill: (spec, { authority, storageId, slot, pill }) =>
        reach({ spec, call: 'writePill', authority }, () => writePill(pillKey(storageId, slot), pill)),
      configureMachine: (spec, { vmId, authority, epoch, machine: wanted }) =>
        reach({ spec, call: 'configureMachine', authority }, (host) => {
          const machine = held(host, vmId, epoch)
          machine.order = wanted
          machine.hardware = hardwareAfter(machine, host.holdsOn)
        }),
      keepStandby: (spec, { vmId, authority, imageId }) =>
        reach({ spec, call: 'keepStandby', authority }, (host) => void host.standbys.set(vmId, imageId)),
      dropStandby: (spec, { vmId, authority }) =>
        reach({ spec, call: 'dropStandby', authority }, (host) => void host.standbys.delete(vmId)),
      captureMachine: (spec, { vmId, authority, epoch, kind }) =>
        reach({ spec, call: 'captureMachine', authority }, (host) => {
          const machine = held(host, vmId, epoch)
          const image = makeImage(`i${(images += 1)}`)
          if (kind === 'recovery') machine.image = image
          return image.imageId
        }),
      recoverMachine: (spec, { vmId, authority, epoch }) =>
        reach({ spec, call: 'recoverMachine', authority }, (host) => void (held(host, vmId, epoch).incarnation += 1)),
      injectFailure: (spec, { vmId, authority, epoch }) =>
        reach(
          { spec, call: 'injectFailure', authority },
          (host) => void (held(host, vmId, epoch).phase = 'restarting'),
        ),
      ...fakeSnapshots({ reach, held, layers, clock }),
      ...fakeClones({ reach, held, layers, clock, disks }),
      ...fakeMoves({ hosts, disks, reach, held, become }),
      ...fakeVolumeMoves({ hosts, disks, reach, held, become }),
      runHostCommand: (spec, { authority, runId, command }) =>
        reach({ spec, call: 'runHostCommand', authority }, (host) => runCommand(host, runId, command)),
      async writeManifest(spec, { volumeId, manifest }) {
        await clock.sleep(orderTakesMs)
        const host = hosts.get(spec.id)
        if (host === undefined || host.isCut || host.isOff || host.isWithoutStorage)
          throw new DialtoneError('host-unreachable', `${spec.name} does not answer`)
        return disks.keepManifest(volumeId, manifest)
      },
      async knock({ id }) {
        await clock.sleep(1)
        const host = hosts.get(id)
        return host !== undefined && !host.isCut && !host.isOff
      },
      async localClaims({ id }) {
        await clock.sleep(orderTakesMs)
        const host = hosts.get(id)
        if (host === undefined || host.isCut || host.isOff)
          throw new DialtoneError('host-unreachable', `${id} does not answer`)
        const own = storages.filter(({ hostId }) => hostId === id)
        return { claims: own.flatMap((storage) => disks.claimsOn(storage.id)) }
      },
      inventory: () => Promise.reject(new DialtoneError('host-unreachable', 'no inventory is taken here')),
    }
  }
}
