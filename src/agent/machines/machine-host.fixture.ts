/** One host in memory under virtual time: its machines outlive its agents, as real ones do. Every effect that matters is in `history`. */
import { sessionIdOf, sharedId, vmIdOf, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { SessionId, StorageId, VmId } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import { defaultTimings, type Timings } from '../../model/timings.ts'
import { createFakeHypervisor } from '../hypervisor/fake/fake-hypervisor.ts'
import { createFakeWorld, endFakeMachine, type FakeMachine, type FakeWorld } from '../hypervisor/fake/fake-world.ts'
import { createFakeNetwork, type FakeNetwork } from '../network/fake/fake-network.ts'
import { createLicenceKeeper, type LicenceKeeper } from '../protection/licence-keeper.ts'
import { createFakeStorageWorld } from '../storage/fake/fake-storage.ts'
import { createVirtualClock, type VirtualClock } from '../virtual-clock.fixture.ts'
import type { WatchdogState } from '../watchdog/watchdog-message.ts'
import type { MachineCgroups, MachinePorts } from './machine-ports.ts'
import type { MachineRecord, MachineRecords } from './machine-record.ts'
import { createMachineRoom, type MachineRoom } from './machine-room.ts'

export const webId = vmIdOf('web')
export const thisBoot = 'boot-1'
const runDirectoryOf = (vmId: VmId) => `/run/${vmId}`
const cgroupOf = (vmId: VmId) => `/cgroup/${vmId}`

export type MachineHost = {
  readonly clock: VirtualClock
  readonly world: FakeWorld
  readonly network: FakeNetwork
  /** How long it takes to take a machine's card or its record away. */
  removalsTakeMs: number
  /** Written records, by machine. */
  readonly records: Map<VmId, MachineRecord>
  /** What was done, in order: `guard`, `start`, `write`, `remove`, `kill`, `unguard` and the phases. */
  readonly history: string[]
  /** What the watchdog process was told last. */
  watchdog: Omit<WatchdogState, 'sequence'> | undefined
  /** True: the watchdog process doesn't answer. */
  isWatchdogSilent: boolean
  /** What the leader answers to starts that wait for its word; it thinks about it while this is undefined. */
  answerToStarts: boolean | undefined
  licences: LicenceKeeper
  readonly room: MachineRoom
  session: SessionId
  /** The agent dies, with whatever it was waiting for; the next one has a session of its own and nothing in memory. */
  restartAgent(options?: { readonly bootId?: string; meanwhile?(): void }): Promise<void>
  /** The leader acknowledges a heartbeat that is sent now. */
  renewLease(): void
  living(vmId?: VmId): FakeMachine | undefined
  order(epoch: number, changes?: Partial<MachineOrder>): void
  start(epoch: number, changes?: Partial<MachineOrder>): Promise<void>
  release(upToEpoch: number): Promise<void>
  crash(): Promise<void>
  report(): ReturnType<MachineRoom['reports']>[number] | undefined
  /** Lets time pass while the agent applies licences, as it does. */
  pass(milliseconds: number): Promise<void>
  isGuarded(): boolean
}

export function sampleOrder(changes: Partial<MachineOrder> = {}): MachineOrder {
  return {
    vmId: webId,
    name: 'web',
    number: 7,
    hardware: { machineType: 'pc-q35-7.2', cpuModel: 'qemu64-v1', accelerator: 'tcg', qemuVersion: '7.2.22' },
    cpus: 1,
    memoryMiB: 64,
    nic: { macAddress: '52:54:00:00:00:07', address: '10.0.0.7' },
    disks: [{ volumeId: volumeIdOf('root'), storageId: sharedId, format: 'qcow2' }],
    templateVersion: 'tiny-1',
    extraCommandLine: '',
    generationId: '3a7c1f9e-4a51-4c0e-8d0a-5b1a4d2b8f10',
    leased: true,
    ...changes,
  }
}

const licenceEveryMs = 80

export async function createMachineHost(timings: Timings = defaultTimings): Promise<MachineHost> {
  const clock = createVirtualClock()
  const world = createFakeWorld()
  const storage = createFakeStorageWorld({ shared: true, sleep: (delayMs) => clock.sleep(delayMs) }).storageOf('ada')
  await storage.createVolume({ volumeId: volumeIdOf('root'), format: 'qcow2', sizeMiB: 64, cgroupDirectory: '/tools' })
  const history: string[] = []
  const records = new Map<VmId, MachineRecord>()
  const network = createFakeNetwork()
  const logger = createLogger(history)
  const living = (vmId = webId) => world.living(runDirectoryOf(vmId))

  const link = {
    armed: () => 'hard' as const,
    async tell(state: Omit<WatchdogState, 'sequence'>) {
      await Promise.resolve()
      if (host.isWatchdogSilent) throw new DialtoneError('deadline-exceeded', 'the watchdog process did not answer')
      const before = new Set(host.watchdog?.machines.map(({ vmId }) => vmId))
      host.watchdog = state
      for (const { vmId } of state.machines) if (!before.has(vmId)) history.push(`guard ${vmId}`)
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
  const newLicences = () => {
    const licences = createLicenceKeeper({ link, logger, timings })
    return {
      ...licences,
      unguard(vmId: VmId) {
        history.push(`unguard ${vmId}`)
        licences.unguard(vmId)
      },
    }
  }
  let agent = new AbortController()
  const newRoom = (bootId: string) => {
    const hypervisor = createFakeHypervisor({ world })
    const { signal } = agent
    const sleep = async (milliseconds: number) => {
      await clock.sleep(milliseconds)
      if (signal.aborted) await new Promise(() => undefined)
    }
    const kept = createRecords(records, history)
    const ports: MachinePorts = {
      hostName: 'ada',
      bootId,
      clock: { ...clock, sleep },
      logger,
      hypervisor: {
        ...hypervisor,
        async start(definition) {
          history.push(`start ${definition.life.epoch}.${definition.life.incarnation}`)
          return hypervisor.start(definition)
        },
      },
      records: {
        ...kept,
        async remove(vmId) {
          if (host.removalsTakeMs > 0) await sleep(host.removalsTakeMs)
          await kept.remove(vmId)
        },
      },
      network: {
        ...network,
        async disconnect(card) {
          if (host.removalsTakeMs > 0) await sleep(host.removalsTakeMs)
          await network.disconnect(card)
        },
      },
      licences: host.licences,
      cgroups: createCgroups(world, history),
      storage: () => storage,
      isShared: (storageId: StorageId) => storageId === sharedId,
      bootFiles: async () => ({ vmlinux: '/v', initrd: '/i', rootDisk: '/r', commandLine: 'quiet' }),
      async confirmStart() {
        const givesUpAtMs = clock.bootTimeMs() + 5_000
        while (host.answerToStarts === undefined && clock.bootTimeMs() < givesUpAtMs) await sleep(50)
        return host.answerToStarts ?? false
      },
      reportSoon: () => undefined,
    }
    return createMachineRoom(host.session, ports)
  }

  const licences = newLicences()
  const host: MachineHost = {
    clock,
    world,
    network,
    records,
    history,
    watchdog: undefined,
    isWatchdogSilent: false,
    answerToStarts: true,
    removalsTakeMs: 0,
    licences,
    session: sessionIdOf('first'),
    get room() {
      return room
    },
    async restartAgent({ bootId = thisBoot, meanwhile } = {}) {
      agent.abort()
      agent = new AbortController()
      for (const machine of world.machines.values()) machine.observers.clear()
      if (bootId !== thisBoot)
        for (const machine of world.machines.values()) endFakeMachine(machine, { reason: 'crashed', detail: 'reset' })
      meanwhile?.()
      host.licences = newLicences()
      host.session = sessionIdOf('second')
      room = newRoom(bootId)
      await room.adoptAll()
      await clock.settle()
    },
    renewLease: () => host.licences.acknowledged(clock.bootTimeMs()),
    living,
    order: (epoch, changes) =>
      void host.room.start(sampleOrder(changes), { authority: { term: 1, session: host.session }, epoch }),
    async start(epoch, changes) {
      host.order(epoch, changes)
      await clock.settle()
    },
    release: (upToEpoch) =>
      host.room.release(webId, { authority: { term: 1, session: host.session }, upToEpoch, detail: 'by order' }),
    async crash() {
      world.crash(runDirectoryOf(webId), 'SIGSEGV')
      await clock.settle()
    },
    report: () => host.room.reports().find(({ vmId }) => vmId === webId),
    async pass(milliseconds) {
      const untilMs = clock.bootTimeMs() + milliseconds
      while (clock.bootTimeMs() < untilMs) {
        await host.room.applyLicences()
        await clock.advance(Math.min(licenceEveryMs, untilMs - clock.bootTimeMs()))
      }
      await host.room.applyLicences()
      await clock.settle()
    },
    isGuarded: () => host.watchdog?.machines.some(({ vmId }) => vmId === webId) === true,
  }
  let room = newRoom(thisBoot)
  host.renewLease()
  return host
}

function createRecords(records: Map<VmId, MachineRecord>, history: string[]): MachineRecords {
  return {
    runDirectory: runDirectoryOf,
    async write(record) {
      await Promise.resolve()
      const { epoch, incarnation, confirmed, wanted } = record
      history.push(`write ${epoch}.${incarnation} ${confirmed ? 'confirmed' : 'unconfirmed'} ${wanted}`)
      records.set(record.machine.vmId, record)
    },
    async remove(vmId) {
      await Promise.resolve()
      history.push(`remove ${vmId}`)
      records.delete(vmId)
    },
    readAll: async () => [...records.values()],
  }
}

/** The cgroup's processes are those of the world: killing one needs nobody who knows the machine. */
function createCgroups(world: FakeWorld, history: string[]): MachineCgroups {
  return {
    directory: cgroupOf,
    make: async (vmId) => cgroupOf(vmId),
    async kill(vmId, deadlineMs) {
      await Promise.resolve()
      const machine = world.living(runDirectoryOf(vmId))
      if (machine === undefined) return
      if (machine.isUnkillable)
        throw new DialtoneError('deadline-exceeded', `still has processes ${deadlineMs} ms after SIGKILL`)
      history.push(`kill ${vmId}`)
      endFakeMachine(machine, { reason: 'crashed', detail: 'ended by SIGKILL' })
    },
    remove: async () => undefined,
    makeForTools: async () => '/tools',
    listPopulated: async () => [],
  }
}

function createLogger(history: string[]): Logger {
  return {
    info: (event, fields) => {
      if (event === 'machine.phase') history.push(`phase ${String(fields['to'])}`)
    },
    warn: () => undefined,
    error: () => undefined,
  }
}
