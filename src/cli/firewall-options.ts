/** Readers of what a rule of a security group is made of. */
import { InvalidArgumentError } from 'commander'
import { filterDirectionSchema, filterProtocolSchema, type PortRange, portRangeSchema } from '../model/firewall.ts'

export function directionOption(text: string): 'in' | 'out' {
  const direction = filterDirectionSchema.safeParse(text)
  if (direction.success) return direction.data
  throw new InvalidArgumentError('Give in or out.')
}

export function protocolOption(text: string): 'tcp' | 'udp' | 'icmp' | 'any' {
  const protocol = filterProtocolSchema.safeParse(text)
  if (protocol.success) return protocol.data
  throw new InvalidArgumentError(`Give one of ${filterProtocolSchema.options.join(', ')}.`)
}

/** `80,443,8000-8010` */
export function portsOption(text: string): readonly PortRange[] {
  return text.split(',').map((part) => {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? []
    const range = portRangeSchema.safeParse({ from: Number(first), to: Number(last) })
    if (range.success) return range.data
    throw new InvalidArgumentError(`Ports are written like 80,443 or 8000-8010, from 1 to 65535; '${part}' is not one.`)
  })
}
