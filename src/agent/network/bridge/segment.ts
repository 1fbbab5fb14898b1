/** One network on this host, as the taps of its machines need it. */
import type { DhcpServer } from './dhcp-server.ts'

export type Segment = {
  /** Where taps are plugged in. */
  readonly bridge: string
  readonly mtu: number | undefined
  readonly dhcp: DhcpServer
  /** The machine's address has to be routed to here from now on, or no more. */
  route(address: string, isHere: boolean): Promise<void>
}
