/** Puts the parts of a simulated world together, from its configuration and its seed. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostSpec } from '../../model/host.ts'
import { createControllerMachine } from '../controller/controller-machine.ts'
import { createFenceDevices } from '../controller/fence-devices.ts'
import { createKeptStore } from '../controller/kept-store.ts'
import { createSimulatedHost, type SimulatedHost } from '../host/simulated-host.ts'
import { calmNetwork, createSimulatedNetwork } from '../net/simulated-network.ts'
import type { Observation } from '../observation.ts'
import { createSeededRandom, type SeededRandom } from '../seeded-random.ts'
import { createSimulatedStorage } from '../storage/simulated-storage.ts'
import { createStampedDisks, type StampedDisks } from '../storage/stamped-disks.ts'
import { createStorages, type Storages } from '../storage/storages.ts'
import { createWorldTime, type WorldTime } from '../time/world-time.ts'
import type { WorldConfiguration } from './configuration.ts'
import { type FirstState, makeFirstState } from './first-state.ts'
import { agentOn, hostLines, type Surroundings } from './host-lines.ts'
import { createWorldLog, type WorldLog } from './world-log.ts'
import type { WorldParts } from './world-parts.ts'

export type BuiltWorld = { readonly time: WorldTime; readonly log: WorldLog; readonly parts: WorldParts }

export async function buildParts(
  configuration: WorldConfiguration,
  observe: (observation: Observation, atMs: number) => void,
): Promise<BuiltWorld> {
  const time = createWorldTime(configuration.beginsAtWallMs)
  const random = createSeededRandom(configuration.seed)
  const log = createWorldLog(time)
  const first = makeFirstState(configuration, random.fork('first state'))
  const network = createSimulatedNetwork(time, random.fork('network'))
  network.become({ ...calmNetwork, ...configuration.network })
  const disks = createStampedDisks()
  const storages = buildStorages(configuration, first, { time, random, disks })
  const hosts = new Map<string, SimulatedHost>()
  const see = (observation: Observation) => {
    storages.see(observation)
    observe(observation, time.nowMs())
  }
  const fences = createFenceDevices({ time, random: random.fork('fences'), host: (name) => hosts.get(name) })
  const controller = createControllerMachine({
    time,
    random: random.fork('controller'),
    logger: log.loggerOf('controller'),
    store: await createKeptStore(time, first.writes, see),
    checksHeartbeats: configuration.checksHeartbeats,
    network,
    fencesFor: fences.portFor,
    calleeOf: ({ name }) => agentOn(hosts.get(name)),
  })
  const around = { time, network, controller: controller.callee, hosts }
  for (const spec of first.hosts) {
    const parts = { time, random, log, storages, around }
    hosts.set(spec.name, createSimulatedHost({ ...hostOptions(configuration, spec, parts), disks, observe: see }))
  }
  return { time, log, parts: partsOf({ network, controller, fences, hosts, storages }) }
}

type Ground = { readonly time: WorldTime; readonly random: SeededRandom }

function buildStorages(
  configuration: WorldConfiguration,
  { storages, cluster }: FirstState,
  { time, random, disks }: Ground & { readonly disks: StampedDisks },
): Storages {
  const wishes = new Map(configuration.storages.map((wish) => [wish.name, wish]))
  return createStorages(
    storages.map((spec) =>
      createSimulatedStorage({
        spec,
        time,
        random: random.fork(spec.id),
        disks,
        stuckWrites: (spec.shared ? wishes.get(spec.name)?.stuckWrites : undefined) ?? 'go-with-it',
        drainMs: cluster.timings.drainMs,
        hasClaims: configuration.hasClaims,
      }),
    ),
  )
}

type HostParts = Ground & { readonly log: WorldLog; readonly storages: Storages; readonly around: Surroundings }

function hostOptions(
  configuration: WorldConfiguration,
  spec: HostSpec,
  { time, random, log, storages, around }: HostParts,
): Omit<Parameters<typeof createSimulatedHost>[0], 'disks' | 'observe'> {
  const wish = configuration.hosts.find(({ name }) => name === spec.name)
  if (wish === undefined) throw new DialtoneError('not-found', `${spec.name} is not configured`)
  return {
    spec,
    memoryMiB: wish.memoryMiB,
    cpus: wish.cpus,
    hasHardwareWatchdog: wish.armed,
    clockRate: wish.clockRate,
    time,
    random: random.fork(`host ${spec.name}`),
    loggerOf: (process) => log.loggerOf(`${spec.name}/${process}`),
    storageOf: storages.of,
    mayLose: storages.mayLose,
    openStorage: (storageId, life) => storages.byId(storageId).viewFrom(spec.name, life),
    ...hostLines(spec, around),
    forgetSent() {
      around.network.forget(spec.name)
      for (const storage of storages.all()) storage.hostEnded(spec.name)
    },
  }
}

function partsOf({
  storages,
  hosts,
  ...parts
}: Pick<WorldParts, 'network' | 'controller' | 'fences' | 'hosts'> & { readonly storages: Storages }): WorldParts {
  return {
    ...parts,
    hosts,
    storage: storages.byName,
    sharedStorages: () => storages.all().filter(({ spec }) => spec.shared),
    host(name) {
      const host = hosts.get(name)
      if (host === undefined) throw new DialtoneError('not-found', `there is no host ${name} in this world`)
      return host
    },
    machinesOf: (vmName) =>
      [...hosts.values()].flatMap((host) => {
        const boot = host.boot()
        if (boot === undefined) return []
        const machines = boot.kernel.living().filter(({ definition }) => definition.name === vmName)
        return machines.map((machine) => ({ machine, boot }))
      }),
  }
}
