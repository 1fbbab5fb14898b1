/** What Prometheus and Grafana get: over real HTTP, on a cloud in memory. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { metricFamilies } from '../../control/figures/metrics-text.ts'
import { startCloud } from '../../engine/cloud.fixture.ts'
import { figureRoutes } from '../../model/api/figure-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { noFigures } from '../../model/figures.ts'
import { startService } from '../../transport/test-service.ts'
import { createFigureDesk } from './figure-desk.ts'
import { figureFilesInMemory } from './figure-files.ts'
import { figureHandlers } from './figure-handlers.ts'

async function open(context: TestContext) {
  const cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  context.after(() => cloud[Symbol.asyncDispose]())
  const vmId = await cloud.createRunning('web')
  const engine = cloud.engine()
  const figures = createFigureDesk({ files: figureFilesInMemory(), logger: engine.leader.logger, nowMs: Date.now })
  const hostId = [...cloud.state().hosts.keys()][0]
  assert.ok(hostId !== undefined)
  const takes = { ...noFigures, cpuPercent: 150, memoryMiB: 64, pauseMs: 12 }
  figures.receive(hostId, { host: takes, machines: [{ vmId, figures: takes }] })
  const client = () => assert.fail('no agent is asked')
  const agents = { ...cloud.agents.port, client, close: async () => undefined }
  const service = await startService(context, [figureRoutes, figureHandlers({ engine, agents, figures })], {
    identify({ headers }) {
      if (headers.authorization === 'Bearer of-prometheus') return { name: 'prometheus', role: 'viewer' }
      throw new DialtoneError('unauthenticated', 'An access token is needed.')
    },
  })
  return { service, state: cloud.state() }
}

const headers = { authorization: 'Bearer of-prometheus' }

test('Prometheus reads figures and states of hosts and machines, with a token and not without', async (context) => {
  const { service } = await open(context)
  assert.equal((await fetch(`${service.baseUrl}/metrics`)).status, 401)
  const answer = await fetch(`${service.baseUrl}/metrics`, { headers })
  assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const text = await answer.text()
  for (const line of text.trimEnd().split('\n'))
    assert.match(line, /^(?:# (?:HELP|TYPE) \S+ .+|\w+(?:\{.*\})? [-+\d.e]+)$/)
  assert.match(text, /^dialtone_vm_processors_used\{vm="web",host="ada"\} 1\.5$/m)
  assert.match(text, /^dialtone_vm_memory_used_bytes\{vm="web",host="ada"\} 67108864$/m)
  assert.match(text, /^dialtone_host_online\{host="ada"\} 1$/m)
  assert.match(text, /^dialtone_host_longest_pause_seconds\{host="ada"\} 0\.012$/m)
})

test('its service discovery is told where the machines are', async (context) => {
  const { service } = await open(context)
  const answer: unknown = await (await fetch(`${service.baseUrl}/metrics/targets?port=9256`, { headers })).json()
  const targets = figureRoutes.metricTargets.response.parse(answer)
  assert.equal(targets.length, 1)
  assert.match(targets[0]?.targets[0] ?? '', /^\d+\.\d+\.\d+\.\d+:9256$/)
  assert.equal(targets[0]?.labels['__meta_dialtone_vm'], 'web')
  assert.equal(targets[0]?.labels['__meta_dialtone_host'], 'ada')
})

test('every series that the Grafana dashboard names is one that the controller has', async (context) => {
  const { state } = await open(context)
  const dashboard = await readFile(join(import.meta.dirname, '../../../docs/grafana/dialtone.json'), 'utf8')
  const named = new Set(dashboard.match(/dialtone_\w+/g))
  const known = new Set(metricFamilies(state, () => noFigures).map(({ name }) => name))
  assert.ok(named.size > 8, 'it names series')
  assert.deepEqual(
    [...named].filter((name) => !known.has(name)),
    [],
  )
})
