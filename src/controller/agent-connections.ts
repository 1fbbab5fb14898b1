/** The engine's line to agents: one client a host, over mutual TLS, each verified to be the host that it claims to be. */
import { connect } from 'node:net'
import type { AgentPort } from '../engine/agent-port.ts'
import { type AgentContract, agentContract } from '../model/agent-protocol/agent-contract.ts'
import type { HostSpec } from '../model/host.ts'
import { type ContractClient, createContractClient } from '../transport/contract-client.ts'
import { callAgents } from './call-agents.ts'
import type { ControllerTls } from './first-start.ts'

export type AgentConnections = AgentPort & {
  /** For what streams: the console. */
  client(host: HostSpec): ContractClient<AgentContract>
  close(): Promise<void>
}

export function connectToAgents(tls: ControllerTls, clusterId: string): AgentConnections {
  const clients = new Map<string, ContractClient<AgentContract>>()

  const client = (host: HostSpec) => {
    const key = `${host.id}@${host.address}:${host.port}`
    const existing = clients.get(key)
    if (existing !== undefined) return existing
    const created = createContractClient(agentContract, {
      baseUrl: `https://${host.address}:${host.port}`,
      tls: { ...tls, peer: { kind: 'host', clusterId, hostId: host.id } },
      connectTimeoutMs: 1_500,
    })
    clients.set(key, created)
    return created
  }

  return {
    client,
    ...callAgents(client),
    knock,
    async close() {
      await Promise.all([...clients.values()].map((one) => one.close()))
    },
  }
}

/** A bare connection to the agent's port: the kernel answers it, whether or not the agent has time. */
function knock(host: HostSpec, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: host.address, port: host.port })
    const end = (isAnswered: boolean) => {
      clearTimeout(givesUp)
      socket.destroy()
      resolve(isAnswered)
    }
    const givesUp = setTimeout(end, timeoutMs, false)
    socket.once('connect', () => end(true))
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED'))
  })
}
