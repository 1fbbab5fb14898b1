/**
 * Speaks DHCP for any number of MAC addresses, to see who answers: `node agent-network.probe.ts '[{"mac":…,"kind":"discover"}, …]'`. A
 * `renew` asks for `address` again by broadcast, as a machine does whose server went away. Prints all replies of the next 0.3 s.
 */
import { createSocket } from 'node:dgram'
import { setTimeout as delay } from 'node:timers/promises'

export type DhcpQuestion = {
  readonly mac: string
  readonly kind: 'discover' | 'renew' | 'reboot'
  readonly address?: string
}
export type DhcpReply = {
  readonly mac: string
  readonly kind: 'offer' | 'ack' | 'nak' | 'other'
  readonly address: string
  readonly server: string
}

const replyKinds: Readonly<Record<number, DhcpReply['kind']>> = { 2: 'offer', 5: 'ack', 6: 'nak' }
const collectMs = 300

if (import.meta.main) {
  const questions: DhcpQuestion[] = JSON.parse(process.argv[2] ?? '[]')
  const replies: DhcpReply[] = []
  const socket = createSocket('udp4')
  socket.on('message', (message) => replies.push(readReply(message)))
  await new Promise<void>((resolve) => socket.bind(68, resolve))
  socket.setBroadcast(true)
  for (const question of questions) socket.send(renderQuestion(question), 67, '255.255.255.255')
  await delay(collectMs)
  socket.close()
  console.log(JSON.stringify(replies))
}

function renderQuestion({ mac, kind, address = '0.0.0.0' }: DhcpQuestion): Buffer {
  const packet = Buffer.alloc(300)
  packet.set([1, 1, 6, 0, 0x44, 0x54, 0x4e, 0x45], 0)
  packet.writeUInt16BE(0x8000, 10)
  if (kind === 'renew') packet.set(bytesOf(address), 12)
  packet.set(Buffer.from(mac.replaceAll(':', ''), 'hex'), 28)
  const requested = kind === 'reboot' ? [50, 4, ...bytesOf(address)] : []
  packet.set([99, 130, 83, 99, 53, 1, kind === 'discover' ? 1 : 3, ...requested, 255], 236)
  return packet
}

function readReply(packet: Buffer): DhcpReply {
  const options = new Map<number, Buffer>()
  for (let at = 240; at < packet.length && packet[at] !== 255; ) {
    const length = packet[at + 1] ?? 0
    options.set(packet[at] ?? 0, packet.subarray(at + 2, at + 2 + length))
    at += 2 + length
  }
  return {
    mac: packet.toString('hex', 28, 34).replace(/..(?!$)/g, '$&:'),
    kind: replyKinds[options.get(53)?.[0] ?? 0] ?? 'other',
    address: packet.subarray(16, 20).join('.'),
    server: options.get(54)?.join('.') ?? '',
  }
}

function bytesOf(address: string): number[] {
  return address.split('.').map(Number)
}
