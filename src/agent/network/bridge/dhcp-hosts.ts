/**
 * The hosts file of dnsmasq, which is also the driver's memory: one line for each machine that is here, and a comment for each address
 * that a machine which left may still hold in dnsmasq's lease table. Pure; the file is read and written by `dhcp-server.ts`.
 */
import { z } from 'zod'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { ipv4AddressSchema, macAddressSchema } from '../../../model/hardware.ts'
import { nameSchema, vmIdSchema } from '../../../model/ids.ts'

/** What DHCP has to know of a network card. Nothing that passes this schema can be read as another line or field of the file. */
export const dhcpEntrySchema = z.object({
  vmId: vmIdSchema,
  macAddress: macAddressSchema,
  address: ipv4AddressSchema,
  hostName: nameSchema,
})
export type DhcpEntry = z.infer<typeof dhcpEntrySchema>

export type DhcpHosts = {
  readonly entries: readonly DhcpEntry[]
  /** MAC that the running dnsmasq may have leased the address to, for addresses that no longer belong to that MAC here. */
  readonly retired: ReadonlyMap<string, string>
}

export const noDhcpHosts: DhcpHosts = { entries: [], retired: new Map() }

/** The entry takes the place of an older one of its machine. `address-taken` when another machine has its address or MAC here. */
export function withEntry(hosts: DhcpHosts, entry: DhcpEntry): DhcpHosts {
  const others = hosts.entries.filter(({ vmId }) => vmId !== entry.vmId)
  const rival = others.find(({ address, macAddress }) => address === entry.address || macAddress === entry.macAddress)
  if (rival !== undefined) {
    const taken = rival.address === entry.address ? entry.address : entry.macAddress
    throw new DialtoneError('address-taken', `${taken} of ${entry.hostName} belongs to ${rival.hostName} on this host`)
  }
  return replaceEntries(hosts, [...others, entry])
}

export function withoutMachine(hosts: DhcpHosts, machine: Pick<DhcpEntry, 'vmId'>): DhcpHosts {
  return replaceEntries(
    hosts,
    hosts.entries.filter(({ vmId }) => vmId !== machine.vmId),
  )
}

/** Retires the addresses of the entries that go. */
export function replaceEntries(hosts: DhcpHosts, entries: readonly DhcpEntry[]): DhcpHosts {
  const retired = new Map(hosts.retired)
  for (const { address, macAddress } of hosts.entries) retired.set(address, macAddress)
  for (const { address, macAddress } of entries) if (retired.get(address) === macAddress) retired.delete(address)
  return { entries, retired }
}

/** True when dnsmasq would refuse an address because its table still has it leased to another MAC; only a new dnsmasq forgets it. */
export function needsNewServer(hosts: DhcpHosts): boolean {
  return hosts.entries.some(({ address }) => hosts.retired.has(address))
}

/**
 * The machine stands in a comment and not in a tag (`set:`): dnsmasq 2.90 aborts when it reads its entries anew after it has served one
 * that has a tag.
 */
export function renderDhcpHosts(hosts: DhcpHosts): string {
  const retired = Array.from(hosts.retired, ([address, macAddress]) => `# retired ${address} ${macAddress}\n`)
  const entries = hosts.entries.map(
    ({ vmId, macAddress, address, hostName }) => `${macAddress},${address},${hostName} # ${vmId}\n`,
  )
  return [...retired, ...entries].join('')
}

/** Reads what `renderDhcpHosts` wrote; lines that are damaged are left out, because adoption tells all entries anew. */
export function parseDhcpHosts(text: string): DhcpHosts {
  const lines = text.split('\n')
  const entries = lines.flatMap((line) => {
    const [card = '', vmId] = line.split(' # ')
    const [macAddress, address, hostName] = card.split(',')
    const entry = dhcpEntrySchema.safeParse({ vmId, macAddress, address, hostName })
    return entry.success ? [entry.data] : []
  })
  const retired = lines.flatMap((line): [string, string][] => {
    const [, address, macAddress] = /^# retired (\S+) (\S+)$/.exec(line) ?? []
    return address === undefined || macAddress === undefined ? [] : [[address, macAddress]]
  })
  return { entries, retired: new Map(retired) }
}
