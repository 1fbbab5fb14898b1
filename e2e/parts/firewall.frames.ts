/** Ethernet frames, byte by byte, as an honest and as a dishonest guest would send them. */

export type Sender = { readonly mac: string; readonly address: string }

const broadcast = 'ff:ff:ff:ff:ff:ff'
const allNodes = '33:33:00:00:00:01'
const etherTypes = { ip: 0x0800, arp: 0x0806, vlan: 0x8100, rarp: 0x8035, ip6: 0x86dd, other: 0x88b5 } as const

export function ethernet(
  way: string | { readonly from: string; readonly to: string },
  type: keyof typeof etherTypes,
  body: Buffer,
): Buffer {
  const { from, to } = typeof way === 'string' ? { from: way, to: broadcast } : way
  return Buffer.concat([bytesOfMac(to), bytesOfMac(from), number(etherTypes[type], 2), body])
}

/** Asks who has `wanted`. */
export function arp(sender: Sender, wanted: string, announced: Partial<Sender> = {}): Buffer {
  const { mac, address } = { ...sender, ...announced }
  const body = [Buffer.from('0001080006040001', 'hex'), bytesOfMac(mac), bytesOfIp(address), Buffer.alloc(6)]
  return ethernet(sender.mac, 'arp', Buffer.concat([...body, bytesOfIp(wanted)]))
}

export function udp(
  sender: Sender,
  { to, fromPort, toPort }: { readonly to: string; fromPort: number; toPort: number },
): Buffer {
  const payload = Buffer.concat([
    number(fromPort, 2),
    number(toPort, 2),
    number(8 + 40, 2),
    number(0, 2),
    Buffer.alloc(40),
  ])
  const header = Buffer.from('450000000000000040110000', 'hex')
  header.writeUInt16BE(20 + payload.length, 2)
  const packet = Buffer.concat([header, bytesOfIp(sender.address), bytesOfIp(to), payload])
  packet.writeUInt16BE(checksum(packet.subarray(0, 20)), 10)
  return ethernet(sender.mac, 'ip', packet)
}

/** An ICMPv6 message of this type; `about`: the address that it speaks of. */
export function icmp6(
  mac: string,
  { type, from, about }: { readonly type: number; readonly from: string; readonly about?: string },
): Buffer {
  const to = bytesOfIp6('ff020000000000000000000000000001')
  const body = Buffer.concat([Buffer.from([type, 0, 0, 0, 0, 0, 0, 0]), bytesOfIp6(about ?? from)])
  const source = bytesOfIp6(from)
  body.writeUInt16BE(checksum(Buffer.concat([source, to, number(body.length, 4), number(58, 4), body])), 2)
  const header = Buffer.concat([Buffer.from('60000000', 'hex'), number(body.length, 2), Buffer.from([58, 255])])
  return ethernet({ from: mac, to: allNodes }, 'ip6', Buffer.concat([header, source, to, body]))
}

function checksum(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

function number(value: number, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  bytes.writeUIntBE(value, 0, size)
  return bytes
}

function bytesOfMac(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex')
}

function bytesOfIp(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number))
}

/** 32 hexadecimal digits. */
function bytesOfIp6(digits: string): Buffer {
  return Buffer.from(digits, 'hex')
}
