/** Disks that come and go while the machine runs, each behind a root port of its own. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { AttachedDisk, PluggedHardware } from '../hypervisor.ts'
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
import { pluggedMemoryBytes } from './grow-memory.ts'
import { busOfPort, devicesInPorts, listDevices } from './plug-ports.ts'
import type { QmpLine } from './qmp-session.ts'
import { unplugDevice } from './unplug-device.ts'

const commandTimeoutMs = 5000
/** The guest has to let go, which a busy one does when it comes to it. */
const unplugTimeoutMs = 20_000

/** Plugs it into its port, or the first free one. What an earlier attempt left half done is done anew; a disk that is there is left as it is. */
export async function attachDisk(line: QmpLine, disk: AttachedDisk, isLocking: boolean): Promise<void> {
  const present = await listDevices(line)
  if (present.includes(diskDeviceId(disk.volumeId))) return
  const bus = await busOfPort(line, present, disk.port)
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
  const id = diskDeviceId(volumeId)
  const isThere = async () => (await listDevices(line)).includes(id)
  if (!(await unplugDevice(line, { id, timeoutMs: unplugTimeoutMs, isThere })))
    throw new DialtoneError('deadline-exceeded', `the guest did not let go of ${volumeId} within ${unplugTimeoutMs} ms`)
  await removeNodes(line, volumeId)
}

/** See the port. */
export async function listPlugged(line: QmpLine): Promise<PluggedHardware> {
  const found = await devicesInPorts(line, await listDevices(line))
  const disks = found.filter(({ device }) => device.startsWith('disk-'))
  const cards = found.filter(({ device }) => device.startsWith('nic'))
  return {
    volumeIds: disks.map(({ device }) => device.slice('disk-'.length)),
    ports: disks.map(({ port }) => port),
    cards: cards.map(({ device, port }) => ({ number: Number(device.slice('nic'.length)), port })),
    hasMemory: (await pluggedMemoryBytes(line)) > 0,
  }
}

/** Gives the disk that its guest sees this size. */
export async function resizeDisk(line: QmpLine, volumeId: string, sizeMiB: number): Promise<void> {
  const node = (await attachedNodes(line)).get(volumeId)
  if (node === undefined) throw new DialtoneError('not-found', `the machine has no disk ${volumeId}`)
  const sizes = await diskSizes(line)
  if ((sizes.get(volumeId) ?? 0) >= sizeMiB) return
  await line.execute('block_resize', { 'node-name': node.name, size: sizeMiB * 2 ** 20 }, blockQueryTimeoutMs)
}

/** In MiB, by volume. */
export async function diskSizes(line: QmpLine): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>()
  const blocks = await line.execute('query-block', {}, blockQueryTimeoutMs)
  const nodes = await attachedNodes(line)
  for (const { inserted } of blocks) {
    const volume = [...nodes].find(([, { name }]) => name === inserted?.['node-name'])?.[0]
    if (volume !== undefined && inserted !== undefined)
      sizes.set(volume, Math.floor(inserted.image['virtual-size'] / 2 ** 20))
  }
  return sizes
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
