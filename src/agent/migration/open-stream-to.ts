/** This agent's way to another one, over mutual TLS with the hosts' own certificates: the memory of a machine is as secret as its disk. */
import type { Duplex } from 'node:stream'
import {
  type DepartureTarget,
  type NeighbourContract,
  neighbourContract,
} from '../../model/agent-protocol/migration-orders.ts'
import type { VmId, VolumeId } from '../../model/ids.ts'
import { type ClientOptions, type ContractClient, createContractClient } from '../../transport/contract-client.ts'

const connectTimeoutMs = 2_000
const openTimeoutMs = 10_000

export type HostTls = Omit<NonNullable<ClientOptions['tls']>, 'peer'>

export type HostIdentity = { readonly tls: HostTls; readonly clusterId: string }

/** To the process that waits for the memory of this machine. */
export function openStreamTo(target: DepartureTarget, vmId: VmId, identity: HostIdentity): Promise<Duplex> {
  return open(target, identity, (client) =>
    client.upgrade('machineStream', { params: { vmId } }, { timeoutMs: openTimeoutMs }),
  )
}

/** To one of the disks that it waits for. */
export function openDiskStreamTo(
  target: DepartureTarget,
  disk: { readonly vmId: VmId; readonly volumeId: VolumeId },
  identity: HostIdentity,
): Promise<Duplex> {
  return open(target, identity, (client) =>
    client.upgrade('diskStream', { params: disk }, { timeoutMs: openTimeoutMs }),
  )
}

/** The connection ends with its stream. */
async function open(
  target: DepartureTarget,
  { tls, clusterId }: HostIdentity,
  ask: (client: ContractClient<NeighbourContract>) => Promise<Duplex>,
): Promise<Duplex> {
  const client = createContractClient(neighbourContract, {
    baseUrl: `https://${target.address}:${target.port}`,
    tls: { ...tls, peer: { kind: 'host', clusterId, hostId: target.hostId } },
    connectTimeoutMs,
  })
  try {
    const stream = await ask(client)
    stream.once('close', () => void client.close())
    return stream
  } catch (error) {
    await client.close()
    throw error
  }
}
