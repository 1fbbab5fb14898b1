/** Entry of an agent: `node main.ts --config agent.json`. Chooses the drivers, joins if need be, and serves orders until it is stopped. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { flushCompileCache } from 'node:module'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createJsonLogger } from '../linux/json-logger.ts'
import { systemClock } from '../linux/system-clock.ts'
import { agentContract } from '../model/agent-protocol/agent-contract.ts'
import { type AgentConfiguration, agentConfigurationSchema, type HostFacts } from '../model/agent-protocol/heartbeat.ts'
import { hostContract } from '../model/agent-protocol/host-contract.ts'
import { neighbourContract } from '../model/agent-protocol/migration-orders.ts'
import { makeId, sessionIdSchema } from '../model/ids.ts'
import { isoFileName, isoManifestSchema } from '../model/iso.ts'
import type { MachineOrder } from '../model/machine-order.ts'
import { templateManifestSchema } from '../model/template-manifest.ts'
import { createContractClient } from '../transport/contract-client.ts'
import { mountContract } from '../transport/mount-contract.ts'
import { listen, makeServer } from '../transport/serve.ts'
import { identifyByCertificate } from '../transport/tls-identity.ts'
import { startAgent } from './agent.ts'
import { type AgentConfig, readAgentConfig } from './agent-config.ts'
import { beginLife, raiseLives } from './agent-lives.ts'
import { createProcMeter } from './figures/proc-meter.ts'
import { reportFigures } from './figures/report-figures.ts'
import { createNftFirewall } from './firewall/nft/nft-firewall.ts'
import { probeFirewall } from './firewall/nft/probe-firewall.ts'
import { answerFor } from './guest-data/answer-metadata.ts'
import { makeSeed } from './guest-data/make-seed.ts'
import { createHostCommands } from './host-commands/host-commands.ts'
import { limitStarts } from './hypervisor/limit-starts.ts'
import { createQemuHypervisor } from './hypervisor/qemu/qemu-hypervisor.ts'
import { obtainIdentity } from './identity.ts'
import { createImageCache } from './images/image-cache.ts'
import { createMachineCgroups } from './machines/machine-cgroups.ts'
import { createMachineRecords } from './machines/machine-record.ts'
import { createMemoryImageCache } from './memory-images/memory-image-cache.ts'
import { neighbourHandlers } from './migration/migration-orders.ts'
import { openDiskStreamTo, openStreamTo } from './migration/open-stream-to.ts'
import { createBridgeNetwork } from './network/bridge/bridge-network.ts'
import { probeSegments } from './network/bridge/probe-segments.ts'
import { guardNetwork } from './network/guarded-network.ts'
import { checkOnce } from './probes/check-once.ts'
import { openClearedSlots } from './protection/cleared-slots.ts'
import { hashFile } from './recovery/hash-file.ts'
import { openRungOutcomes } from './recovery/rung-outcomes.ts'
import { createDirectoryStorage } from './storage/directory/directory-storage.ts'
import { rememberedUuid } from './storage/directory/remembered-uuid.ts'
import { createWatchdogLink } from './watchdog/watchdog-link.ts'

const { values } = parseArgs({ options: { config: { type: 'string' } } })
const config = await readAgentConfig(values.config ?? '')
const logger = createJsonLogger(process.stderr, { host: config.hostName, process: 'agent' })
const stopping = new AbortController()
const clock = systemClock
await mkdir(join(config.dataDirectory, 'cache'), { recursive: true })

const probing = probeFirewall()
const probingSegments = probeSegments()
const identity = await obtainIdentity(config, { clock, logger })
const tls = { ca: identity.authorityPem, cert: identity.certificatePem, key: identity.privateKeyPem }
const controller = createContractClient(hostContract, {
  baseUrl: config.controllerUrl,
  tls: { ...tls, peer: { kind: 'controller', clusterId: identity.clusterId, name: 'main' } },
  connectTimeoutMs: 500,
  maximumConnections: 4,
})
const qemu = createQemuHypervisor({
  fileLocking: config.qemu.fileLocking,
  cacheDirectory: join(config.dataDirectory, 'cache'),
  logger,
})
const firewall = createNftFirewall({
  bridge: config.bridge,
  hostAddress: config.listen.host,
  ability: await probing,
  logger,
})
const facts = await hostFacts(config)
/** Machines may ask who they are before this agent knows of them. */
let orders: () => readonly MachineOrder[] = () => []
const hypervisor = limitStarts(qemu, Math.max(2, facts.cpus))
const fetchImageFile = async (version: string, file: string) =>
  (await controller.download('imageFile', { params: { version, file } }, { timeoutMs: 10_000 })).stream
const images = createImageCache({
  manifestSchema: templateManifestSchema,
  directory: join(config.dataDirectory, 'images'),
  fetchFile: fetchImageFile,
})
const discs = createImageCache({
  manifestSchema: isoManifestSchema,
  directory: join(config.dataDirectory, 'discs'),
  fetchFile: fetchImageFile,
})
const livesFile = join(config.dataDirectory, 'agent-lives')
const configurationFile = join(config.dataDirectory, 'configuration.json')

const cgroups = createMachineCgroups(config.cgroupDirectory)
const agent = await startAgent({
  hostName: config.hostName,
  hostId: identity.hostId,
  session: makeId('ses', sessionIdSchema, randomBytes(8)),
  agentLife: await beginLife(livesFile),
  bootId: (await readFile(config.bootIdFile, 'utf8')).trim(),
  pid: process.pid,
  facts,
  clock,
  logger,
  hypervisor,
  records: createMachineRecords(join(config.dataDirectory, 'run')),
  cgroups,
  network: guardNetwork(
    createBridgeNetwork({
      bridge: config.bridge,
      runDirectory: join(config.dataDirectory, 'run', 'network'),
      cgroupDirectory: config.cgroupDirectory,
      gateway: config.network.gateway,
      prefixLength: config.network.prefixLength,
      subnet: config.network.subnet,
      hostAddress: config.listen.host,
      leaseSeconds: 3600,
      metadata: (question) => answerFor(question, orders()),
      logger,
    }),
    firewall,
  ),
  images: createMemoryImageCache({
    directory: config.memoryImages.directory ?? join(config.dataDirectory, 'memory-images'),
    budgetMiB: config.memoryImages.budgetMiB ?? Math.floor(facts.memoryMiB / 4),
    logger,
  }),
  outcomes: await openRungOutcomes(join(config.dataDirectory, 'rung-outcomes.json'), logger),
  hostCommands: createHostCommands({
    directory: join(config.dataDirectory, 'commands'),
    cgroupDirectory: join(config.cgroupDirectory, 'commands'),
  }),
  randomBytes,
  hashFile,
  openStreamTo: (target, vmId) => openStreamTo(target, vmId, { tls, clusterId: identity.clusterId }),
  openDiskStreamTo: (target, disk) => openDiskStreamTo(target, disk, { tls, clusterId: identity.clusterId }),
  sendSignal: (pid, signal) => void process.kill(pid, signal),
  checkOnce,
  clearedSlots: await openClearedSlots(join(config.dataDirectory, 'cleared-slots.json')),
  watchdog: createWatchdogLink(config.watchdogSocket, { clock, deadlineMs: 500 }),
  openStorage: ({ storageId, path, shared }) => {
    const expectedUuid = rememberedUuid(config.dataDirectory, { storageId, path })
    return createDirectoryStorage({
      path,
      shared,
      hostName: config.hostName,
      ...(expectedUuid === undefined ? {} : { expectedUuid }),
    })
  },
  async bootFiles(machine) {
    const template = await images.ensure(machine.templateVersion)
    const { manifest } = template
    const commandLine = machine.hardware.accelerator === 'tcg' ? manifest.commandLineTcg : manifest.commandLine
    return { ...template, commandLine }
  },
  discPath: async (isoId) => join((await discs.ensure(isoId)).folder, isoFileName),
  makeSeed,
  rootDisk: async (version) => (await images.ensure(version)).rootDisk,
  lastConfiguration: await readLastConfiguration(),
  keepConfiguration,
  // Machines outlive their agent.
  replaced: (knownLife) => void raiseLives(livesFile, knownLife).finally(() => process.exit(1)),
  async introduce(configuration) {
    const { host: address, port } = config.listen
    await controller.call('introduce', { body: { hostName: config.hostName, address, port, configuration } })
  },
  post: (heartbeat, timeoutMs) => controller.call('heartbeat', { body: heartbeat }, { timeoutMs }),
  signal: stopping.signal,
})
orders = () => agent.room.orders()
void reportFigures({
  room: agent.room,
  cgroups,
  meter: createProcMeter({ bridge: config.bridge }),
  clock,
  logger,
  signal: stopping.signal,
  post: (report) => controller.call('figures', { body: report }, { timeoutMs: 2_000 }),
})

const server = makeServer({ tls: { ...tls, requestClientCertificate: 'required' } })
mountContract(server, agentContract, agent.handlers, {
  identify: identifyByCertificate(identity.clusterId, ['controller']),
  unknownFields: 'ignore',
})
mountContract(server, neighbourContract, neighbourHandlers(agent.room), {
  identify: identifyByCertificate(identity.clusterId, ['host']),
  unknownFields: 'ignore',
})
await listen(server, config.listen)
// Written now: a process that always ends by SIGKILL would compile everything anew each time, and keep the compiler in memory.
flushCompileCache()
logger.info('agent.serves', { hostId: identity.hostId, session: agent.room.session, ...facts })

// Machines outlive their agent: stopping it touches none of them.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0))

async function hostFacts({ capacity }: AgentConfig): Promise<HostFacts> {
  const found = await qemu.facts()
  return {
    cpus: capacity?.cpus ?? cpus().length,
    memoryMiB: capacity?.memoryMiB ?? Math.floor(totalmem() / 1_048_576),
    accelerator: found.accelerator,
    qemuVersion: found.version,
    machineType: found.machineType,
    cpuModel: found.cpuModel,
    guestSupport: [...found.guestSupport],
    firewall: firewall.ability().kind,
    firewallDetail: firewall.ability().detail,
    networkFaults: await probingSegments,
  }
}

/** What was last heard of the cluster; a damaged file counts as none, since the next heartbeat brings it anew. */
async function readLastConfiguration(): Promise<AgentConfiguration | undefined> {
  const text = await readFile(configurationFile, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    return agentConfigurationSchema.parse(JSON.parse(text))
  } catch (error) {
    logger.warn('configuration.damaged', { error })
    return undefined
  }
}

async function keepConfiguration(configuration: AgentConfiguration): Promise<void> {
  await writeFile(`${configurationFile}.new`, JSON.stringify(configuration), { mode: 0o600 })
  await rename(`${configurationFile}.new`, configurationFile)
}
