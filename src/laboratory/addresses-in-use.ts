/** The IPv4 addresses that the machine has or has routes for: a laboratory keeps away from them. */
import { z } from 'zod'
import { runCommand } from '../linux/run-command.ts'
import { type AddressRange, rangeOf } from './choose-subnet.ts'

const interfacesSchema = z.array(
  z.object({
    addr_info: z.array(z.object({ local: z.string().optional(), prefixlen: z.number().optional() })).optional(),
  }),
)
const routesSchema = z.array(z.object({ dst: z.string().optional(), dev: z.string().optional() }))

export async function addressesInUse(): Promise<AddressRange[]> {
  const [interfaces, routes] = await Promise.all([
    runCommand('ip', ['-4', '-json', 'address', 'show'], { timeoutMs: 10_000 }),
    runCommand('ip', ['-4', '-json', 'route', 'show', 'table', 'all'], { timeoutMs: 10_000 }),
  ])
  return [...rangesOfInterfaces(interfaces), ...rangesOfRoutes(routes)]
}

export function rangesOfInterfaces(json: string): AddressRange[] {
  return interfacesSchema
    .parse(JSON.parse(json || '[]'))
    .flatMap((entry) => entry.addr_info ?? [])
    .flatMap(({ local, prefixlen }) => (local === undefined ? [] : [rangeOf(`${local}/${prefixlen ?? 32}`)]))
}

/** A default route, and one so wide that it only says "that way out" (a VPN's 10.0.0.0/8), doesn't use the addresses it covers. */
export function rangesOfRoutes(json: string): AddressRange[] {
  return routesSchema
    .parse(JSON.parse(json || '[]'))
    .flatMap(({ dst }) => (dst === undefined || dst === 'default' ? [] : [rangeOf(dst)]))
    .filter((range) => range.last - range.first < 2 ** 22)
}
