/** One life of the product's agent on a simulated host: the same code, with simulated ports. */

import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { type Agent, startAgent } from '../../agent/agent.ts'
import type { AgentPorts } from '../../agent/agent-ports.ts'
import { createFakeHypervisor } from '../../agent/hypervisor/fake/fake-hypervisor.ts'
import { endFakeMachine } from '../../agent/hypervisor/fake/fake-world.ts'
import { limitStarts } from '../../agent/hypervisor/limit-starts.ts'
import type { MemoryImageCache } from '../../agent/memory-images/memory-image-cache.ts'
import { neighbourHandlers } from '../../agent/migration/migration-orders.ts'
import type { CheckOnce } from '../../agent/probes/prober.ts'
import type { Storage } from '../../agent/storage/storage.ts'
import type { AgentContract } from '../../model/agent-protocol/agent-contract.ts'
import type { Acknowledgement, Heartbeat, HostFacts } from '../../model/agent-protocol/heartbeat.ts'
import type { DepartureTarget, NeighbourContract } from '../../model/agent-protocol/migration-orders.ts'
import type { HostSpec } from '../../model/host.ts'
import { makeId, type StorageId, sessionIdSchema, type VmId, type VolumeId } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import { noteOutcome } from '../../model/recovery/ladder-statistics.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { copyOf } from '../net/call.ts'
import type { SeededRandom } from '../seeded-random.ts'
import { imageBytes } from '../storage/simulated-storage.ts'
import type { ProcessLife } from '../time/process-life.ts'
import type { WorldTime } from '../time/world-time.ts'
import { gateResults } from './gate-results.ts'
import { clearedSlotsOn, type HostDisk, recordsOn } from './host-disk.ts'
import type { HostKernel } from './host-kernel.ts'
import { linkToWatchdog, type WatchdogProcess } from './watchdog-process.ts'

export type AgentProcess = {
  readonly life: ProcessLife
  readonly pid: number
  /** Undefined until it serves. */
  served(): AgentService | undefined
}

export type AgentService = {
  readonly agent: Agent
  readonly handlers: Handlers<AgentContract>
  readonly neighbours: Handlers<NeighbourContract>
}

export type AgentProcessOptions = {
  readonly spec: HostSpec
  readonly bootId: string
  readonly pid: number
  readonly facts: HostFacts
  readonly life: ProcessLife
  readonly time: WorldTime
  readonly random: SeededRandom
  readonly logger: Logger
  readonly kernel: HostKernel
  readonly disk: HostDisk
  readonly images: MemoryImageCache
  watchdog(): WatchdogProcess | undefined
  openStorage(storageId: StorageId, life: ProcessLife): Storage
  post(heartbeat: Heartbeat, timeoutMs: number, life: ProcessLife): Promise<Acknowledgement>
  openStreamTo(target: DepartureTarget, vmId: VmId, life: ProcessLife): Promise<Duplex>
  openDiskStreamTo(
    target: DepartureTarget,
    disk: { readonly vmId: VmId; readonly volumeId: VolumeId },
    life: ProcessLife,
  ): Promise<Duplex>
  /** What became of an order to run a command on this host. */
  runCommand: AgentPorts['hostCommands']['run']
  /** It ends itself, since the leader knows a newer one. */
  replaced(): void
  /** It broke before it served: its supervisor starts another. */
  broke(error: unknown): void
}

export function startAgentProcess(options: AgentProcessOptions): AgentProcess {
  const { life, pid } = options
  let service: AgentService | undefined
  startAgent(portsOf(options)).then(
    (agent) => {
      service = { agent, handlers: agent.handlers, neighbours: neighbourHandlers(agent.room) }
      options.logger.info('agent.serves', { session: agent.room.session })
    },
    (error: unknown) => options.broke(error),
  )
  return { life, pid, served: () => service }
}

/** As `src/agent/main.ts`. */
function startsAtOnce({ cpus }: HostFacts): number {
  return Math.max(2, cpus)
}

const imageHash = { bytes: imageBytes.length, sha256: createHash('sha256').update(imageBytes).digest('hex') }
const bootFiles = { vmlinux: '/v', initrd: '/i', rootDisk: '/r', commandLine: 'quiet' }

function portsOf(options: AgentProcessOptions): AgentPorts {
  const { spec, life, time, kernel, disk, random, logger } = options
  const mine = <Port extends object>(port: Port): Port => gateResults(port, life)
  // Files of the host's own disk take a moment, in which a crash may come.
  const onDisk = <Port extends object>(port: Port): Port => mine(slowly(port, time, random))
  return {
    hostName: spec.name,
    hostId: spec.id,
    session: makeId('ses', sessionIdSchema, random.bytes(8)),
    agentLife: ++disk.agentLives,
    bootId: options.bootId,
    pid: options.pid,
    facts: options.facts,
    clock: life.clock,
    logger,
    hypervisor: limitStarts(
      mine(createFakeHypervisor({ world: kernel.processes, fileLocking: false })),
      startsAtOnce(options.facts),
    ),
    records: onDisk(recordsOn(disk)),
    cgroups: mine(kernel.cgroups),
    network: mine(kernel.guardedNetwork),
    watchdog: linkToWatchdog(time, life, options.watchdog),
    images: mine(options.images),
    outcomes: {
      statistics: () => disk.statistics,
      note(outcome) {
        disk.statistics = noteOutcome(disk.statistics, outcome)
      },
    },
    hostCommands: { run: options.runCommand },
    randomBytes: (count) => random.bytes(count),
    hashFile: async () => imageHash,
    openStreamTo: (target, vmId) => options.openStreamTo(target, vmId, life),
    openDiskStreamTo: (target, disk) => options.openDiskStreamTo(target, disk, life),
    sendSignal(process, signal) {
      const machine = kernel.living().find((one) => one.pid === process)
      if (machine !== undefined && signal === 'SIGKILL')
        endFakeMachine(machine, { reason: 'crashed', detail: 'SIGKILL' })
    },
    checkOnce: checkIn(options),
    clearedSlots: onDisk(clearedSlotsOn(disk)),
    openStorage: ({ storageId }) => options.openStorage(storageId, life),
    bootFiles: async () => bootFiles,
    rootDisk: async () => bootFiles.rootDisk,
    discPath: async (isoId) => `/isos/${isoId}`,
    makeSeed: async () => undefined,
    lastConfiguration: disk.configuration === undefined ? undefined : copyOf(disk.configuration),
    async keepConfiguration(configuration) {
      disk.configuration = copyOf(configuration)
    },
    replaced(knownLife) {
      disk.agentLives = Math.max(disk.agentLives, knownLife)
      options.replaced()
    },
    introduce: async () => undefined,
    post: (heartbeat, timeoutMs) => options.post(heartbeat, timeoutMs, life),
    // Nobody tells it of its end: a killed process does nothing more.
    signal: new AbortController().signal,
  }
}

/** A service answers while its guest runs and its card is plugged in. */
function checkIn({ kernel, life, time, random }: AgentProcessOptions): CheckOnce {
  return ({ address, timeoutMs }) => {
    const card = kernel.network.dhcpCards().find((one) => one.address === address)
    const machine = kernel.living().find(({ definition }) => definition.vmId === card?.vmId)
    const isHeard =
      machine?.state === 'running' &&
      !machine.isDeaf &&
      machine.isLinkUp &&
      kernel.network.pluggedTaps().includes(machine.definition.tapName)
    const latencyMs = random.between(0.3, 2)
    const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<CheckOnce>>>()
    time.after(isHeard ? latencyMs : timeoutMs, () =>
      life.enter(() =>
        resolve(
          isHeard
            ? { isCorrect: true, latencyMs }
            : { isCorrect: false, isSilent: true, reason: `no answer from ${address}` },
        ),
      ),
    )
    return promise
  }
}

const fileTakesMs = [0.2, 4] as const

function slowly<Port extends object>(port: Port, time: WorldTime, random: SeededRandom): Port {
  return new Proxy(port, {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver)
      if (typeof member !== 'function' || name === 'processDirectory') return member
      return (...given: unknown[]) =>
        new Promise((resolve, reject) => {
          time.after(random.between(...fileTakesMs), () => {
            Promise.resolve(Reflect.apply(member, target, given)).then(resolve, reject)
          })
        })
    },
  })
}
