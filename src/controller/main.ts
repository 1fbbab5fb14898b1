/** Entry of a controller: `node main.ts --config controller.json`. Chooses the store, opens both listeners, leads. */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startEngine } from '../engine/engine.ts'
import { createJsonLogger } from '../linux/json-logger.ts'
import { systemClock } from '../linux/system-clock.ts'
import { hostContract } from '../model/agent-protocol/host-contract.ts'
import { apiContract } from '../model/api/contract.ts'
import { openSqliteStore } from '../store/sqlite/sqlite-store.ts'
import { mountContract } from '../transport/mount-contract.ts'
import { listen, makeServer } from '../transport/serve.ts'
import { identifyByCertificate } from '../transport/tls-identity.ts'
import { identifyCaller } from './access/identify-caller.ts'
import { createSignInBrake } from './access/sign-in-brake.ts'
import { connectToAgents } from './agent-connections.ts'
import { cloneDisksSaga } from './clones/clone-disks-saga.ts'
import { cloneSetSaga } from './clones/clone-set-saga.ts'
import { cloneVmSaga } from './clones/clone-vm-saga.ts'
import { warmTemplateSaga } from './clones/warm-template-saga.ts'
import { serveConsole } from './console/serve-console.ts'
import { readControllerConfig } from './controller-config.ts'
import { createFigureDesk } from './figures/figure-desk.ts'
import { openFigureFiles } from './figures/figure-files.ts'
import { ensureAdministrator, ensureAuthority, ensureCluster, issueControllerTls } from './first-start.ts'
import { agentHandlers } from './handlers/agent-handlers.ts'
import { apiHandlers } from './handlers/api-handlers.ts'
import { imagePlaces } from './images/image-places.ts'
import { importIsoSaga } from './images/import-iso-saga.ts'
import { importTemplateSaga } from './images/import-template-saga.ts'
import { clearUploads } from './images/uploads.ts'
import { createIntroductions } from './rebuild/introductions.ts'
import { fenceAgents } from './run-fence-agent.ts'
import { applyServiceSaga } from './services/apply-service-saga.ts'
import { deleteServiceSaga } from './services/delete-service-saga.ts'
import { ensureBlankTemplate } from './templates/blank-template.ts'
import { buildTemplateSaga, enterTemplate } from './templates/build-template-saga.ts'
import { createTemplateSaga, readVolumes } from './templates/create-template-saga.ts'
import { deletedVersions } from './templates/deleted-versions.ts'
import { createNewVersions } from './templates/new-versions.ts'

/** Where `npm run build:web` puts it. */
const consoleDirectory = join(import.meta.dirname, '../../dist/web')

const { values } = parseArgs({ options: { config: { type: 'string' } } })
const config = await readControllerConfig(values.config ?? '')
const logger = createJsonLogger(process.stderr, { process: 'controller' })
const stopping = new AbortController()

await mkdir(config.dataDirectory, { recursive: true, mode: 0o700 })
const store = await openSqliteStore({ path: join(config.dataDirectory, 'state.sqlite') })
const cluster = await ensureCluster(store, config)
await ensureAdministrator(store, config)
const authority = await ensureAuthority(config, cluster.id)
const tls = await issueControllerTls(authority, config, cluster.id)
const agents = connectToAgents(tls, cluster.id)

const places = imagePlaces(config)
const engine = await startEngine({
  store,
  clock: systemClock,
  logger,
  randomBytes: (count) => randomBytes(count),
  agents,
  fences: fenceAgents,
  signal: stopping.signal,
  moreSagas: (leader, tasks, epochs) => [
    importTemplateSaga(leader, places),
    importIsoSaga(leader, places),
    buildTemplateSaga(leader, config.templatesDirectory),
    cloneVmSaga(leader, agents, tasks),
    warmTemplateSaga(leader, agents, tasks),
    cloneDisksSaga(leader, tasks, epochs),
    cloneSetSaga(leader, tasks),
    applyServiceSaga(leader, tasks),
    deleteServiceSaga(leader, tasks),
    createTemplateSaga(leader, tasks, {
      source: { agents, readVolume: readVolumes(agents), ...epochs },
      versions: createNewVersions(config.templatesDirectory),
    }),
  ],
})
await clearUploads(places.uploads, systemClock.wallTime().getTime())
await ensureBlankTemplate(config.templatesDirectory)
await enterBuiltTemplates()

const figures = createFigureDesk({
  files: openFigureFiles(join(config.dataDirectory, 'figures')),
  logger,
  nowMs: () => systemClock.wallTime().getTime(),
})
const context = { engine, agents, figures, introductions: createIntroductions() }
void forgetFigures()
const agentServer = makeServer({ tls: { ...tls, requestClientCertificate: 'optional' }, logger })
mountContract(agentServer, hostContract, agentHandlers({ ...context, authority }), {
  identify: identifyByCertificate(cluster.id, ['host']),
  unknownFields: 'ignore',
})
await listen(agentServer, config.agentListen)

const isLoopback = config.apiListen.host === '::1' || config.apiListen.host.startsWith('127.')
const brake = createSignInBrake(systemClock)
const apiServer = makeServer(isLoopback ? { logger } : { tls, logger })
mountContract(
  apiServer,
  apiContract,
  apiHandlers({ ...context, places, authorityPem: authority.certificatePem, brake }),
  {
    identify: identifyCaller({ store, clock: systemClock, clusterId: cluster.id }),
  },
)
serveConsole(apiServer, consoleDirectory)
const port = await listen(apiServer, config.apiListen)
// Written now: a process that always ends by SIGKILL would compile everything anew each time, and keep the compiler in memory.
flushCompileCache()
logger.info('controller.serves', {
  api: `${isLoopback ? 'http' : 'https'}://${config.apiListen.host}:${port}`,
  agents: config.agentListen,
  term: engine.leader.term,
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop())

/** Machines go on without a controller: only this process ends. */
async function stop(): Promise<void> {
  stopping.abort()
  await Promise.allSettled([apiServer.close(), agentServer.close(), agents.close()])
  await store[Symbol.asyncDispose]()
  process.exit(0)
}

/** Of hosts and machines that are gone. */
async function forgetFigures(): Promise<void> {
  while (!stopping.signal.aborted) {
    const { hosts, vms } = engine.leader.index.state()
    await figures
      .keepOnly(new Set<string>([...hosts.keys(), ...vms.keys()]))
      .catch((error: unknown) => logger.warn('figures.not-forgotten', { error }))
    await systemClock.sleep(3_600_000, stopping.signal)
  }
}

/** Templates that were built before this controller knew of them. */
async function enterBuiltTemplates(): Promise<void> {
  const names = await readdir(config.templatesDirectory, { withFileTypes: true }).catch(() => [])
  const deleted = await deletedVersions(engine.leader)
  for (const entry of names) {
    if (!entry.isDirectory() || entry.name.startsWith('.') || deleted.includes(entry.name)) continue
    await enterTemplate(engine.leader, join(config.templatesDirectory, entry.name)).catch((error: unknown) =>
      logger.warn('template.not-entered', { name: entry.name, error }),
    )
  }
}
