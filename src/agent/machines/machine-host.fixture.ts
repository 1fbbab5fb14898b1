/** One host in memory under virtual time: its machines outlive its agents, as real ones do. Every effect that matters is in `history`. */
import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { sessionIdOf, sharedId, storageIdOf, vmIdOf, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { noLimits } from '../../model/growth.ts'
import { kernelGuest } from '../../model/guest.ts'
import { flatNetworkId, type SessionId, type StorageId, type VmId, type VolumeId } from '../../model/ids.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import { emptyStatistics, noteOutcome } from '../../model/recovery/ladder-statistics.ts'
import type { RecoveryRecord } from '../../model/recovery/recovery-record.ts'
import { defaultTimings, type Timings } from '../../model/timings.ts'
import { createFakeHypervisor } from '../hypervisor/fake/fake-hypervisor.ts'
import {
  createFakeWorld,
  endFakeMachine,
  type FakeMachine,
  type FakeSpare,
  type FakeWorld,
  type FakeWorldOptions,
} from '../hypervisor/fake/fake-world.ts'
import type { Hypervisor, RunningMachine } from '../hypervisor/hypervisor.ts'
import { createFakeNetwork, type FakeNetwork } from '../network/fake/fake-network.ts'
import type { CheckAnswer } from '../probes/prober.ts'
import { clearedSlotsInMemory } from '../protection/cleared-slots.fixture.ts'
import { createLicenceKeeper, type LicenceKeeper } from '../protection/licence-keeper.ts'
import { hashFile } from '../recovery/hash-file.ts'
import { createRecoveryJournal } from '../recovery/recovery-journal.ts'
import { createFakeStorageWorld, type FakeStorage, type FakeStorageWorld } from '../storage/fake/fake-storage.ts'
import { createVirtualClock, type VirtualClock } from '../virtual-clock.fixture.ts'
import type { WatchdogState } from '../watchdog/watchdog-message.ts'
import {
  createCgroups,
  createImageCache,
  createLogger,
  createRecords,
  type FakeImageCache,
  type FakeRecords,
  mortal,
  writeFileInFolder,
} from './host-parts.fixture.ts'
import type { MachinePorts } from './machine-ports.ts'
import type { MachineRecord } from './machine-record.ts'
import { createMachineRoom, type MachineRoom } from './machine-room.ts'

export const webId = vmIdOf('web')
export const rootId = volumeIdOf('root')
export const dataId = volumeIdOf('data')
export const thisBoot = 'boot-1'
/** A further storage of the host, where an empty volume of the root disk's id is. */
export const otherId = storageIdOf('other')

export type MachineHost = {
  readonly clock: VirtualClock
  readonly world: FakeWorld
  readonly network: FakeNetwork
  readonly storage: FakeStorage
  readonly storageWorld: FakeStorageWorld
  readonly images: FakeImageCache
  /** How long it takes to take a machine's card or its record away. */
  removalsTakeMs: number
  /** How long it takes until a process that is killed is gone. */
  killsTakeMs: number
  /** Leads to the host that a machine is sent to. */
  openStream: () => Promise<Duplex>
  /** Leads to a disk of it there. */
  openDiskStream: () => Promise<Duplex>
  /** Written records, by machine. */
  readonly records: Map<VmId, MachineRecord>
  /** What lies beside them: the run directories of processes. */
  readonly files: FakeRecords
  /** What was done, in order: `guard`, `claim`, `start`, `take-over`, `run`, `write`, `remove`, `kill`, `unguard` and the phases. */
  readonly history: string[]
  readonly warnings: string[]
  /** What went into the journal. */
  readonly journal: RecoveryRecord[]
  /** What the watchdog process was told last. */
  watchdog: Omit<WatchdogState, 'sequence'> | undefined
  /** True: the watchdog process doesn't answer. */
  isWatchdogSilent: boolean
  /** What the leader answers to starts that wait for its word; it thinks about it while this is undefined. */
  answerToStarts: boolean | undefined
  /** Whether a guest that runs, and can be heard, serves correctly. */
  serves: (machine: FakeMachine) => boolean
  licences: LicenceKeeper
  readonly room: MachineRoom
  session: SessionId
  /** The agent dies, with whatever it was waiting for; the next one has a session of its own and nothing in memory. */
  restartAgent(options?: { readonly bootId?: string; meanwhile?(): void }): Promise<void>
  /** The leader acknowledges a heartbeat that is sent now. */
  renewLease(): void
  living(vmId?: VmId): FakeMachine | undefined
  spares(): readonly FakeSpare[]
  order(epoch: number, changes?: Partial<MachineOrder>): void
  start(epoch: number, changes?: Partial<MachineOrder>): Promise<void>
  /** Releases it, and lets the time pass in which its last writes land. */
  release(upToEpoch: number): Promise<void>
  beginRelease(upToEpoch: number): Promise<void>
  /** Its process dies, and nobody has noticed yet. */
  kill(vmId?: VmId): void
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
    nic: { macAddress: '52:54:00:00:00:07', address: '10.0.0.7', address6: null, networkId: flatNetworkId, mtu: null },
    moreNics: [],
    disks: [{ volumeId: rootId, storageId: sharedId, format: 'qcow2' }],
    templateVersion: 'tiny-1',
    extraCommandLine: '',
    generationId: '3a7c1f9e-4a51-4c0e-8d0a-5b1a4d2b8f10',
    leased: true,
    recovery: { mode: 'boot' },
    probe: null,
    start: 'boot',
    clonedFrom: null,
    isUntoldClone: false,
    guest: kernelGuest,
    cdroms: [],
    cloudInit: null,
    resumesFrom: null,
    growth: null,
    limits: noLimits,
    present: null,
    ...changes,
  }
}

const licenceEveryMs = 80

export async function createMachineHost(
  timings: Timings = defaultTimings,
  guests: Pick<FakeWorldOptions, 'isOutrunning' | 'followMs' | 'drained'> = {},
): Promise<MachineHost> {
  const clock = createVirtualClock(undefined, areFilesRead)
  const sleepOn = (delayMs: number) => clock.sleep(delayMs)
  const wallTime = () => clock.wallTime()
  const storageWorld = createFakeStorageWorld({ shared: true, sleep: sleepOn, now: () => clock.wallTime() })
  const { layersUnder: chainUnder } = storageWorld
  const world = createFakeWorld({ wait: sleepOn, wallTime, writeFile: writeFileInFolder, chainUnder, ...guests })
  const storage = storageWorld.storageOf('ada')
  for (const volumeId of [rootId, dataId])
    await storage.createVolume({ volumeId, format: 'qcow2', sizeMiB: 64, cgroupDirectory: '/tools' })
  const otherStorage = await makeOtherStorage(sleepOn)
  const history: string[] = []
  const warnings: string[] = []
  const journal: RecoveryRecord[] = []
  const records = new Map<VmId, MachineRecord>()
  const files = createRecords(records, history)
  const images = createImageCache()
  const network = createFakeNetwork()
  const logger = createLogger(history, warnings)
  let randomNumbers = 0
  let statistics = emptyStatistics
  const alive = () => [...world.machines.values()].filter(({ exit }) => exit === undefined)
  const living = (vmId = webId) => alive().find(({ definition }) => definition.vmId === vmId)
  refuseSecondProcess(world, alive)

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
    const licences = createLicenceKeeper({
      link,
      logger,
      timings,
      agentPid: 1,
      clearedSlots: clearedSlotsInMemory(),
      earlierClearedByMs: 0,
    })
    return {
      ...licences,
      unguard(vmId: VmId) {
        history.push(`unguard ${vmId}`)
        licences.unguard(vmId)
      },
    }
  }
  const seenStorage = watchStorage(storage, { world, history })
  const checkOnce = async ({ address }: { readonly address: string }): Promise<CheckAnswer> => {
    const machine = alive().find(({ state, isLinkUp, definition: { tapName, macAddress } }) => {
      const isHeard = isLinkUp && network.pluggedTaps().includes(tapName)
      return state === 'running' && isHeard && macAddress === sampleOrder().nic.macAddress
    })
    if (machine === undefined) return { isCorrect: false, isSilent: true, reason: `no answer from ${address}` }
    if (host.serves(machine)) return { isCorrect: true, latencyMs: 1 }
    return { isCorrect: false, isSilent: false, reason: 'status 500 instead of 200' }
  }
  let agent = new AbortController()
  const newRoom = (bootId: string) => {
    const { signal } = agent
    const ownJournal = createRecoveryJournal(() => undefined)
    const mine = <T extends object>(port: T): T => mortal(port, signal)
    const sleep = mine({ sleep: clock.sleep }).sleep
    const ports: MachinePorts = {
      hostName: 'ada',
      bootId,
      clock: { ...clock, sleep },
      logger,
      hypervisor: mine(
        watchHypervisor(createFakeHypervisor({ world }), history, () =>
          host.killsTakeMs > 0 ? clock.sleep(host.killsTakeMs) : Promise.resolve(),
        ),
      ),
      records: mine({
        ...files,
        async remove(vmId: VmId) {
          if (host.removalsTakeMs > 0) await clock.sleep(host.removalsTakeMs)
          await files.remove(vmId)
        },
        write: (record: MachineRecord) => files.write(record),
      }),
      network: mine({
        ...network,
        async disconnect(card) {
          if (host.removalsTakeMs > 0) await clock.sleep(host.removalsTakeMs)
          await network.disconnect(card)
        },
      }),
      licences: host.licences,
      cgroups: mine(createCgroups(world, history)),
      images: mine(images),
      journal: {
        ...ownJournal,
        note(record) {
          journal.push(record)
          ownJournal.note(record)
        },
      },
      outcomes: {
        statistics: () => statistics,
        note(outcome) {
          statistics = noteOutcome(statistics, outcome)
        },
      },
      randomBytes(count) {
        randomNumbers += 1
        return createHash('sha512').update(`random ${randomNumbers}`).digest().subarray(0, count)
      },
      hashFile,
      openStreamTo: () => host.openStream(),
      openDiskStreamTo: () => host.openDiskStream(),
      sendSignal(pid, signalName) {
        const machine = alive().find((one) => one.pid === pid)
        if (machine === undefined) return
        if (signalName === 'SIGKILL') endFakeMachine(machine, { reason: 'crashed', detail: 'SIGKILL' })
        else machine.state = 'paused'
      },
      checkOnce,
      storage: (storageId) => mine(storageId === otherId ? otherStorage : seenStorage),
      isShared: (storageId: StorageId) => storageId === sharedId,
      bootFiles: async () => ({ vmlinux: '/v', initrd: '/i', commandLine: 'quiet' }),
      discPath: async (isoId) => `/discs/${isoId}`,
      makeSeed: async () => undefined,
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
    storage,
    storageWorld,
    images,
    records,
    files,
    history,
    warnings,
    journal,
    watchdog: undefined,
    isWatchdogSilent: false,
    answerToStarts: true,
    removalsTakeMs: 0,
    killsTakeMs: 0,
    openStream: () => Promise.reject(new DialtoneError('host-unreachable', 'there is no other host')),
    openDiskStream: () => Promise.reject(new DialtoneError('host-unreachable', 'there is no other host')),
    serves: () => true,
    licences,
    session: sessionIdOf('first'),
    get room() {
      return room
    },
    async restartAgent({ bootId = thisBoot, meanwhile } = {}) {
      agent.abort()
      agent = new AbortController()
      for (const process of [...world.machines.values(), ...world.spares.values()]) process.observers.clear()
      images.pins.clear()
      if (bootId !== thisBoot)
        for (const process of [...world.machines.values(), ...world.spares.values()])
          endFakeMachine(process, { reason: 'crashed', detail: 'reset' })
      meanwhile?.()
      host.licences = newLicences()
      host.session = sessionIdOf('second')
      room = newRoom(bootId)
      await room.adoptAll()
      await clock.settle()
    },
    renewLease: () => host.licences.acknowledged(clock.bootTimeMs()),
    living,
    spares: () => [...world.spares.values()].filter(({ exit }) => exit === undefined),
    order: (epoch, changes) =>
      void host.room.start(sampleOrder(changes), { authority: { term: 1, session: host.session }, epoch }),
    async start(epoch, changes) {
      host.order(epoch, changes)
      await clock.settle()
    },
    async release(upToEpoch) {
      const released = host.beginRelease(upToEpoch)
      released.catch(() => undefined)
      await clock.advance(timings.drainMs)
      return released
    },
    beginRelease: (upToEpoch) =>
      host.room.release(webId, { authority: { term: 1, session: host.session }, upToEpoch, detail: 'by order' }),
    kill(vmId) {
      const machine = living(vmId)
      if (machine !== undefined) endFakeMachine(machine, { reason: 'crashed', detail: 'SIGSEGV' })
    },
    async crash() {
      host.kill()
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

/** Images are small real files, summed by a real program: time stands still meanwhile. */
function areFilesRead(): boolean {
  const busy = new Set(['FSReqPromise', 'FSReqCallback', 'ProcessWrap', 'CloseReq', 'FileHandleCloseReq'])
  return process.getActiveResourcesInfo().some((name) => busy.has(name))
}

/** Two processes of one machine at a time are what must never be. */
function refuseSecondProcess(world: FakeWorld, alive: () => readonly FakeMachine[]): void {
  const { put } = world
  world.put = (machine) => {
    const { vmId } = machine.definition
    if (alive().some(({ definition }) => definition.vmId === vmId)) throw new Error(`two processes of ${vmId}`)
    put(machine)
  }
}

function watchHypervisor(hypervisor: Hypervisor, history: string[], untilKilled: () => Promise<void>): Hypervisor {
  const killable = (machine: RunningMachine): RunningMachine => ({
    ...machine,
    async kill(deadlineMs) {
      await untilKilled()
      await machine.kill(deadlineMs)
    },
  })
  return {
    ...hypervisor,
    async start(definition) {
      history.push(`start ${definition.life.epoch}.${definition.life.incarnation}`)
      return killable(await hypervisor.start(definition))
    },
    async prepare(shape, image) {
      const spare = await hypervisor.prepare(shape, image)
      return {
        ...spare,
        async takeOver(life, cgroupDirectory) {
          history.push(`take-over ${life.epoch}.${life.incarnation}`)
          const machine = await spare.takeOver(life, cgroupDirectory)
          const resume = () => {
            history.push(`run ${life.epoch}.${life.incarnation}`)
            return machine.resume()
          }
          return killable({ ...machine, resume })
        },
      }
    },
  }
}

/** Its files are others than those of the first one. */
async function makeOtherStorage(sleep: (ms: number) => Promise<void>): Promise<FakeStorage> {
  const storage = createFakeStorageWorld({ shared: false, sleep }).storageOf('ada')
  await storage.createVolume({ volumeId: rootId, format: 'qcow2', sizeMiB: 64, cgroupDirectory: '/tools' })
  const elsewhere = async (found: Promise<{ readonly path: string }>) => `/other${(await found).path}`
  return {
    ...storage,
    openVolume: async (...asked) => ({ path: await elsewhere(storage.openVolume(...asked)) }),
    addLayer: async (...asked) => ({ path: await elsewhere(storage.addLayer(...asked)) }),
    layerPath: (...asked) => elsewhere(storage.layerPath(...asked).then((path) => ({ path }))),
  }
}

/** A layer that a process has open, or that lies under one, is not removed. */
function watchStorage(
  storage: FakeStorage,
  { world, history }: { readonly world: FakeWorld; readonly history: string[] },
): FakeStorage {
  return {
    ...storage,
    async claimVolume(volumeId, ownership) {
      await storage.claimVolume(volumeId, ownership)
      history.push(`claim ${ownership.life.epoch}.${ownership.life.incarnation}`)
    },
    // Found at each call: a test may put something in its way.
    useLayer: (volumeId, layerId) => storage.useLayer(volumeId, layerId),
    async removeLayer(volumeId: VolumeId, layerId) {
      const path = await storage.layerPath(volumeId, layerId).catch(() => undefined)
      const open = [...world.machines.values(), ...world.spares.values()].filter(({ exit }) => exit === undefined)
      if (open.some(({ layers }) => layers.get(volumeId)?.[0] === path && path !== undefined))
        throw new DialtoneError('in-use', `${path} is open on ada`)
      await storage.removeLayer(volumeId, layerId)
    },
  }
}
