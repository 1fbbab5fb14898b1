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
import { connectToAgents } from './agent-connections.ts'
import { identifyByToken } from './authenticate.ts'
import { cloneHandlers } from './clones/clone-handlers.ts'
import { cloneVmSaga } from './clones/clone-vm-saga.ts'
import { warmTemplateSaga } from './clones/warm-template-saga.ts'
import { readControllerConfig } from './controller-config.ts'
import { ensureAdministrator, ensureAuthority, ensureCluster, issueControllerTls } from './first-start.ts'
import { agentHandlers } from './handlers/agent-handlers.ts'
import { clusterHandlers } from './handlers/cluster-handlers.ts'
import { drillHandlers } from './handlers/drill-handlers.ts'
import { firewallHandlers } from './handlers/firewall-handlers.ts'
import { hostHandlers } from './handlers/host-handlers.ts'
import { ledgerHandlers } from './handlers/ledger-handlers.ts'
import { maintenanceHandlers } from './handlers/maintenance-handlers.ts'
import { migrationHandlers } from './handlers/migration-handlers.ts'
import { networkHandlers } from './handlers/network-handlers.ts'
import { placementHandlers } from './handlers/placement-handlers.ts'
import { planHandlers } from './handlers/plan-handlers.ts'
import { recoveryHandlers } from './handlers/recovery-handlers.ts'
import { snapshotHandlers } from './handlers/snapshot-handlers.ts'
import { vmHandlers } from './handlers/vm-handlers.ts'
import { volumeHandlers } from './handlers/volume-handlers.ts'
import { fenceAgents } from './run-fence-agent.ts'
import { buildTemplateSaga, enterTemplate } from './templates/build-template-saga.ts'

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

const engine = await startEngine({
  store,
  clock: systemClock,
  logger,
  randomBytes: (count) => randomBytes(count),
  agents,
  fences: fenceAgents,
  signal: stopping.signal,
  moreSagas: (leader, tasks) => [
    buildTemplateSaga(leader, config.templatesDirectory),
    cloneVmSaga(leader, agents, tasks),
    warmTemplateSaga(leader, agents, tasks),
  ],
})
await enterBuiltTemplates()

const context = { engine, agents }
const agentServer = makeServer({ tls: { ...tls, requestClientCertificate: 'optional' }, logger })
mountContract(agentServer, hostContract, agentHandlers({ ...context, authority }), {
  identify: identifyByCertificate(cluster.id, ['host']),
  unknownFields: 'ignore',
})
await listen(agentServer, config.agentListen)

const isLoopback = config.apiListen.host === '::1' || config.apiListen.host.startsWith('127.')
const apiServer = makeServer(isLoopback ? { logger } : { tls, logger })
const apiHandlers = {
  ...vmHandlers(context),
  ...hostHandlers({ ...context, authorityPem: authority.certificatePem }),
  ...clusterHandlers(context),
  ...firewallHandlers(context),
  ...cloneHandlers(context),
  ...drillHandlers(context),
  ...recoveryHandlers(context),
  ...snapshotHandlers(context),
  ...ledgerHandlers(context),
  ...migrationHandlers(context),
  ...volumeHandlers(context),
  ...placementHandlers(context),
  ...planHandlers(context),
  ...maintenanceHandlers(context),
  ...networkHandlers(context),
}
mountContract(apiServer, apiContract, apiHandlers, { identify: identifyByToken(store) })
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

/** Templates that were built before this controller knew of them. */
async function enterBuiltTemplates(): Promise<void> {
  const names = await readdir(config.templatesDirectory, { withFileTypes: true }).catch(() => [])
  for (const entry of names) {
    if (!entry.isDirectory()) continue
    await enterTemplate(engine.leader, join(config.templatesDirectory, entry.name)).catch((error: unknown) =>
      logger.warn('template.not-entered', { name: entry.name, error }),
    )
  }
}
