/** Every call of the laboratory to its controller: the network, the shared storage, the hosts and their power. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { LaboratoryFolders } from './laboratory-folders.ts'
import type { LaboratoryRecord } from './laboratory-record.ts'

const fenceAgent = fileURLToPath(new URL('power-board/fence_laboratory', import.meta.url))
const callTimeoutMs = 10_000
const healthTimeoutMs = 30_000
const onlineTimeoutMs = 60_000

const hostsSchema = z.object({
  hosts: z.array(z.object({ name: z.string(), status: z.object({ state: z.string() }) })),
})
const joinTokenSchema = z.object({ token: z.string() })

export type ControllerCalls = {
  /** Resolves when the controller serves. */
  waitUntilHealthy(): Promise<void>
  /** Declares the network and the shared storage; before hosts join. */
  declareCluster(): Promise<void>
  /** A one-time token for this host. */
  createJoinToken(hostName: string): Promise<string>
  /** Resolves when all hosts are online. */
  waitUntilOnline(): Promise<void>
  /** Tells the controller about the power board. */
  declarePowerFences(): Promise<void>
}

/** Every call stops when the signal aborts. */
export function callsTo(record: LaboratoryRecord, folders: LaboratoryFolders, signal: AbortSignal): ControllerCalls {
  const call = async (method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<unknown> => {
    const token = (await readFile(join(folders.controller, 'admin-token'), 'utf8')).trim()
    return send(`${record.apiUrl}${path}`, { method, token, signal, body })
  }
  const offlineHosts = async () => {
    const { hosts } = hostsSchema.parse(await call('GET', '/v1/hosts'))
    const online = hosts.filter((host) => host.status.state === 'online').map((host) => host.name)
    return record.hosts.map((host) => host.name).filter((name) => !online.includes(name))
  }

  return {
    async waitUntilHealthy() {
      const isHealthy = async () => (await fetch(`${record.apiUrl}/v1/health`, { signal })).ok
      const what = `the controller does not answer at ${record.apiUrl}`
      await until({ isSo: () => isHealthy().catch(() => false), timeoutMs: healthTimeoutMs, signal, what: () => what })
    },
    async declareCluster() {
      const { subnet, gateway, vmAddresses } = record
      await call('PUT', '/v1/network', { subnet, gateway, addressFrom: vmAddresses.from, addressTo: vmAddresses.to })
      await call('POST', '/v1/storages', { name: 'shared', kind: 'directory', path: folders.shared, shared: true })
    },
    async createJoinToken(hostName) {
      return joinTokenSchema.parse(await call('POST', '/v1/join-tokens', { hostName })).token
    },
    async waitUntilOnline() {
      let missing: string[] = []
      const areOnline = async () => {
        missing = await offlineHosts()
        return missing.length === 0
      }
      const what = () => `not online: ${missing.join(', ')}`
      await until({ isSo: areOnline, timeoutMs: onlineTimeoutMs, signal, what })
    },
    async declarePowerFences() {
      for (const { name } of record.hosts) {
        const fence = { agent: fenceAgent, parameters: { ip: folders.controlSocket, plug: name } }
        await call('PUT', `/v1/hosts/${name}/fence`, { fence })
      }
    },
  }
}

type Sending = {
  readonly method: string
  readonly token: string
  readonly signal: AbortSignal
  readonly body: object | undefined
}

async function send(url: string, { method, token, signal, body }: Sending): Promise<unknown> {
  const response = await fetch(url, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    signal: AbortSignal.any([signal, AbortSignal.timeout(callTimeoutMs)]),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((cause: unknown) => {
    signal.throwIfAborted()
    throw new DialtoneError('host-unreachable', `the controller did not answer ${method} ${url}`, { cause })
  })
  const text = await response.text()
  if (response.ok) return text === '' ? {} : JSON.parse(text)
  throw new DialtoneError('wrong-state', `${method} ${url} was answered with ${response.status}: ${text.slice(0, 500)}`)
}

type Waiting = {
  readonly isSo: () => Promise<boolean>
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly what: () => string
}

async function until({ isSo, timeoutMs, signal, what }: Waiting): Promise<void> {
  const givesUpAt = performance.now() + timeoutMs
  while (!(await isSo())) {
    signal.throwIfAborted()
    if (performance.now() > givesUpAt) {
      throw new DialtoneError('deadline-exceeded', `${what()}, after ${Math.round(timeoutMs / 1000)} s`)
    }
    await delay(50, undefined, { signal })
  }
}
