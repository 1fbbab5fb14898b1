/** This agent's way to another one, over mutual TLS with the hosts' own certificates: the memory of a machine is as secret as its disk. */
import type { Duplex } from 'node:stream'
import { type DepartureTarget, neighbourContract } from '../../model/agent-protocol/migration-orders.ts'
import type { VmId } from '../../model/ids.ts'
import { type ClientOptions, createContractClient } from '../../transport/contract-client.ts'

const connectTimeoutMs = 2_000
const openTimeoutMs = 10_000

export type HostTls = Omit<NonNullable<ClientOptions['tls']>, 'peer'>

export async function openStreamTo(
  target: DepartureTarget,
  vmId: VmId,
  { tls, clusterId }: { readonly tls: HostTls; readonly clusterId: string },
): Promise<Duplex> {
  const client = createContractClient(neighbourContract, {
    baseUrl: `https://${target.address}:${target.port}`,
    tls: { ...tls, peer: { kind: 'host', clusterId, hostId: target.hostId } },
    connectTimeoutMs,
  })
  try {
    const stream = await client.upgrade('machineStream', { params: { vmId } }, { timeoutMs: openTimeoutMs })
    stream.once('close', () => void client.close())
    return stream
  } catch (error) {
    await client.close()
    throw error
  }
}
