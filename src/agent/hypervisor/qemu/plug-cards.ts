/** Network cards that come and go while the machine runs, each behind a root port of its own. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { AttachedCard } from '../hypervisor.ts'
import { furtherCardId, netdevId } from './command-line.ts'
import { busOfPort, listDevices } from './plug-ports.ts'
import type { QmpLine } from './qmp-session.ts'
import { unplugDevice } from './unplug-device.ts'

const commandTimeoutMs = 5000
const unplugTimeoutMs = 20_000

/** Plugs it into its port, or the first free one. One that is there is left as it is. */
export async function attachCard(line: QmpLine, card: AttachedCard): Promise<void> {
  const { number, macAddress, mtu, tapName, port } = card
  const present = await listDevices(line)
  const [id, netdev] = [furtherCardId(number), netdevId(number)]
  if (present.includes(id)) return
  const bus = await busOfPort(line, present, port)
  // What an earlier attempt left of it is in nobody's use.
  await line.execute('netdev_del', { id: netdev }, commandTimeoutMs).catch(ifUnknown)
  const tap = { type: 'tap', id: netdev, ifname: tapName, script: 'no', downscript: 'no', vhost: false } as const
  await line.execute('netdev_add', tap, commandTimeoutMs)
  try {
    const size = mtu === null ? {} : { host_mtu: mtu }
    const device = { driver: 'virtio-net-pci', id, netdev, mac: macAddress, romfile: '', ...size, bus }
    await line.execute('device_add', device, commandTimeoutMs)
  } catch (error) {
    await line.execute('netdev_del', { id: netdev }, commandTimeoutMs).catch(ifUnknown)
    throw error
  }
}

/** Returns when the guest has let go. Throws `deadline-exceeded` when it keeps it. */
export async function detachCard(line: QmpLine, number: number): Promise<void> {
  const [id, netdev] = [furtherCardId(number), netdevId(number)]
  const isThere = async () => (await listDevices(line)).includes(id)
  if (!(await unplugDevice(line, { id, timeoutMs: unplugTimeoutMs, isThere })))
    throw new DialtoneError('deadline-exceeded', `the guest did not let go of card ${number} in time`)
  await line.execute('netdev_del', { id: netdev }, commandTimeoutMs).catch(ifUnknown)
}

/** Numbers of the cards after the first one. */
export async function cardNumbers(line: QmpLine): Promise<number[]> {
  return (await listDevices(line))
    .flatMap((id) => /^nic([1-9])$/.exec(id)?.[1] ?? [])
    .map(Number)
    .sort((left, right) => left - right)
}

function ifUnknown(error: unknown): void {
  if (error instanceof DialtoneError && error.message.includes('not found')) return
  throw error
}
