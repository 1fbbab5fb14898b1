/** Stands in for the controller in the laboratory's own test: answers what `up` asks for; a host is online while its agent calls. */
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'

const endpoint = z.object({ host: z.string(), port: z.number() })
const configuration = z
  .object({ dataDirectory: z.string(), apiListen: endpoint, agentListen: endpoint, clusterName: z.string() })
  .parse(JSON.parse(readFileSync(parseArgs({ options: { config: { type: 'string' } } }).values.config ?? '', 'utf8')))

const token = randomUUID()
const onlineForMs = 600
const lastCallOf = new Map<string, number>()
const asked: unknown[] = []
writeFileSync(join(configuration.dataDirectory, 'admin-token'), token, { mode: 0o600 })

createServer((request, response) => {
  lastCallOf.set((request.url ?? '').slice(1), performance.now())
  response.end()
}).listen(configuration.agentListen.port, configuration.agentListen.host)

createServer((request, response) => void answer(request, response)).listen(
  configuration.apiListen.port,
  configuration.apiListen.host,
)

process.on('SIGTERM', () => process.exit(0))

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  const key = `${request.method} ${request.url}`
  if (key !== 'GET /v1/health' && request.headers.authorization !== `Bearer ${token}`) {
    response.writeHead(401).end()
    return
  }
  if (request.method !== 'GET') {
    asked.push({ key, body: JSON.parse(Buffer.concat(chunks).toString()) })
    writeFileSync(join(configuration.dataDirectory, 'asked.json'), JSON.stringify(asked))
  }
  response.end(JSON.stringify(answerTo(key)))
}

function answerTo(key: string): object {
  if (key === 'GET /v1/hosts')
    return { hosts: [...lastCallOf].map(([name, atMs]) => ({ name, status: { state: stateAt(atMs) } })) }
  if (key === 'POST /v1/join-tokens') return { token: randomUUID() }
  return {}
}

function stateAt(lastCallAtMs: number): string {
  return performance.now() - lastCallAtMs < onlineForMs ? 'online' : 'suspect'
}
