/** Disks that come and go while the machine runs, each behind a root port of its own. */
import { setTimeout as delay } from 'node:timers/promises'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { AttachedDisk } from '../hypervisor.ts'
import {
  attachedNodes,
  belongsTo,
  blockQueryTimeoutMs,
  closeNode,
  diskDevice,
  diskDeviceId,
  listLayerNodes,
  nodeOptions,
  removeNode,
} from './block-nodes.ts'
import { hotplugPorts } from './command-line.ts'
import type { QmpLine } from './qmp-session.ts'

const commandTimeoutMs = 5000
/** The guest has to let go, which a busy one does when it comes to it. */
const unplugTimeoutMs = 20_000
const lookAgainMs = 100

/** Plugs it into the first free port. What an earlier attempt left half done is done anew; a disk that is there is left as it is. */
export async function attachDisk(line: QmpLine, disk: AttachedDisk, isLocking: boolean): Promise<void> {
  const present = await listDevices(line)
  if (present.includes(diskDeviceId(disk.volumeId))) return
  const bus = await freePort(line, present)
  await removeNodes(line, disk.volumeId)
  const { file, format } = nodeOptions(disk.volumeId, disk, isLocking)
  try {
    await line.execute('blockdev-add', file, blockQueryTimeoutMs)
    await line.execute('blockdev-add', format, blockQueryTimeoutMs)
    await line.execute('device_add', { ...diskDevice(disk.volumeId), bus }, commandTimeoutMs)
  } catch (error) {
    await removeNodes(line, disk.volumeId)
    throw error
  }
}

/** Returns when the guest has let go and its file is closed. Throws `deadline-exceeded` when the guest keeps it: it stays plugged in then. */
export async function detachDisk(line: QmpLine, volumeId: string): Promise<void> {
  const device = diskDeviceId(volumeId)
  const givesUpAt = performance.now() + unplugTimeoutMs
  let wake = (): void => undefined
  const stopListening = line.listen(({ event }) => {
    if (event === 'DEVICE_DELETED') wake()
  })
  try {
    let isAsked = false
    while ((await listDevices(line)).includes(device)) {
      if (performance.now() > givesUpAt)
        throw new DialtoneError(
          'deadline-exceeded',
          `the guest did not let go of ${volumeId} within ${unplugTimeoutMs} ms`,
        )
      const deleted = new Promise<void>((resolve) => {
        wake = resolve
      })
      if (!isAsked) await askToLetGo(line, device)
      isAsked = true
      await Promise.race([deleted, delay(lookAgainMs, undefined, { ref: false })])
    }
  } finally {
    stopListening()
  }
  await removeNodes(line, volumeId)
}

/** An earlier agent may have asked already. */
async function askToLetGo(line: QmpLine, id: string): Promise<void> {
  try {
    await line.execute('device_del', { id }, commandTimeoutMs)
  } catch (error) {
    if (error instanceof DialtoneError && error.message.includes('in the process of unplug')) return
    throw error
  }
}

async function listDevices(line: QmpLine): Promise<string[]> {
  const entries = await line.execute('qom-list', { path: '/machine/peripheral' }, commandTimeoutMs)
  return entries.map(({ name }) => name)
}

/** Disks behind the ports, in the order of these, and whether there is memory that it did not have at its start. */
export async function listPlugged(line: QmpLine): Promise<{ volumeIds: string[]; hasMemory: boolean }> {
  const found: { readonly volumeId: string; readonly port: number }[] = []
  for (const device of await listDevices(line)) {
    if (!device.startsWith('disk-')) continue
    const path = `/machine/peripheral/${device}`
    const bus = await line.execute('qom-get', { path, property: 'parent_bus' }, commandTimeoutMs)
    const port = /\/port(\d+)$/.exec(typeof bus === 'string' ? bus : '')?.[1]
    if (port !== undefined) found.push({ volumeId: device.slice('disk-'.length), port: Number(port) })
  }
  const memory = await line.execute('query-memory-devices', {}, commandTimeoutMs)
  const volumeIds = found.toSorted((left, right) => left.port - right.port).map(({ volumeId }) => volumeId)
  return { volumeIds, hasMemory: memory.length > 0 }
}

async function freePort(line: QmpLine, present: readonly string[]): Promise<string> {
  const taken = new Set<string>()
  for (const device of present.filter((id) => id.startsWith('disk-'))) {
    const path = `/machine/peripheral/${device}`
    const bus = await line.execute('qom-get', { path, property: 'parent_bus' }, commandTimeoutMs)
    if (typeof bus === 'string') taken.add(bus)
  }
  const ports = Array.from({ length: hotplugPorts }, (_, index) => `port${index}`)
  const free = ports.find((port) => ![...taken].some((bus) => bus.endsWith(`/${port}`)))
  if (free !== undefined) return free
  throw new DialtoneError(
    'wrong-state',
    `all ${hotplugPorts} ports for disks that are plugged in while it runs are taken`,
  )
}

/** Closes what this volume was opened with, from the top layer down. */
async function removeNodes(line: QmpLine, volumeId: string): Promise<void> {
  if ((await attachedNodes(line)).has(volumeId)) return
  const nodes = (await listLayerNodes(line)).filter((node) => belongsTo(node, volumeId))
  for (const { name } of nodes.toSorted((one, other) => other.depth - one.depth)) await removeNode(line, name)
  const isFileLeft = async () =>
    (await line.execute('query-named-block-nodes', { flat: true }, blockQueryTimeoutMs)).some(
      (node) => node['node-name'] === `${volumeId}-file`,
    )
  // The format on top of it could not be opened.
  if (await isFileLeft()) await closeNode(line, `${volumeId}-file`)
}
