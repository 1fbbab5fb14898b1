/**
 * The block nodes of a machine's disks in QEMU: how they are named, opened and found. The nodes that a disk is opened with are called
 * `VOLUME` and `VOLUME-file`. An overlay that a capture puts on top is called `VOLUME.DIGEST` (and `VOLUME.DIGEST-file`) after the digest
 * of its path, so that any later agent, which remembers nothing, gives the same overlay the same name and sees what belongs to which disk.
 */
import { createHash } from 'node:crypto'
import { dirname, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { AttachedDisk } from '../hypervisor.ts'
import type { QmpLine } from './qmp-session.ts'

/** These ask every disk, which takes as long as the slowest storage: never to be used to see whether a machine lives. */
export const blockQueryTimeoutMs = 10_000
const releaseTimeoutMs = 3_000
const releasePollMs = 20

export type BlockNode = {
  readonly name: string
  readonly driver: string
  /** The file that it is, in the end. */
  readonly path: string
  /** The file that it lies on, by its own header. */
  readonly backingPath: string | undefined
  /** How many layers are under it. */
  readonly depth: number
}

type NodeOptions = { readonly volumeId: string; readonly path: string; readonly format: AttachedDisk['format'] }

export function overlayNodeName(volumeId: string, path: string): string {
  // QEMU takes 31 characters at the most; 12 of them are a volume's id.
  return `${volumeId}.${createHash('sha256').update(path).digest('hex').slice(0, 12)}`
}

/** What `blockdev-add`, and in its own syntax the command line, needs to open a disk: first the file, then the format in it. */
export function nodeOptions(name: string, disk: Omit<NodeOptions, 'volumeId'>, isLocking: boolean) {
  const file = {
    driver: 'file',
    'node-name': `${name}-file`,
    filename: disk.path,
    locking: isLocking ? 'on' : 'off',
    cache: { direct: true },
    discard: 'unmap',
  } as const
  const format = {
    driver: disk.format,
    'node-name': name,
    file: `${name}-file`,
    cache: { direct: true },
    discard: 'unmap',
  } as const
  return { file, format }
}

/** The disk's device in the guest. A storage that fails stops the machine, which goes on when it is back, instead of breaking the guest's files. */
export function diskDevice(volumeId: string) {
  return {
    driver: 'virtio-blk-pci',
    id: diskDeviceId(volumeId),
    drive: volumeId,
    serial: volumeId,
    werror: 'stop',
    rerror: 'stop',
  } as const
}

export function diskDeviceId(volumeId: string): string {
  return `disk-${volumeId}`
}

/** Opens an overlay that nothing is attached to yet: its backing is the node in use, which `blockdev-snapshot` gives to it. */
export async function addOverlayNode(
  line: QmpLine,
  overlay: { readonly volumeId: string; readonly path: string },
  isLocking: boolean,
): Promise<string> {
  const name = overlayNodeName(overlay.volumeId, overlay.path)
  const { file, format } = nodeOptions(name, { path: overlay.path, format: 'qcow2' }, isLocking)
  await line.execute('blockdev-add', file, blockQueryTimeoutMs)
  try {
    await line.execute('blockdev-add', { ...format, backing: null }, blockQueryTimeoutMs)
  } catch (error) {
    await closeNode(line, file['node-name'])
    throw error
  }
  return name
}

/** A node and the file node under it. Fails while something goes on using them. */
export async function removeNode(line: QmpLine, name: string): Promise<void> {
  await closeNode(line, name)
  await closeNode(line, `${name}-file`)
}

/** A device that the guest has let go of keeps its node for a moment longer on a busy host, until QEMU has tidied it away. */
export async function closeNode(line: QmpLine, name: string): Promise<void> {
  const givesUpAt = performance.now() + releaseTimeoutMs
  for (;;) {
    try {
      await line.execute('blockdev-del', { 'node-name': name }, blockQueryTimeoutMs)
      return
    } catch (error) {
      const isInUse = error instanceof DialtoneError && error.message.endsWith('is in use')
      if (!isInUse || performance.now() > givesUpAt) throw error
      await delay(releasePollMs)
    }
  }
}

/** The node that each disk's device is attached to now, by volume. */
export async function attachedNodes(
  line: QmpLine,
): Promise<Map<string, { readonly name: string; readonly path: string }>> {
  const found = new Map<string, { readonly name: string; readonly path: string }>()
  for (const { qdev, inserted } of await line.execute('query-block', {}, blockQueryTimeoutMs)) {
    // A device that is part of another one is told by its path, others by their name.
    const volumeId = /(?:^|\/)disk-([^/]+)\//.exec(`${qdev ?? ''}/`)?.[1]
    const name = inserted?.['node-name']
    if (volumeId !== undefined && inserted !== undefined && name !== undefined)
      found.set(volumeId, { name, path: pathOf(inserted.file) })
  }
  return found
}

/** All nodes that are a disk or a layer of one, not the bare files under them. */
export async function listLayerNodes(line: QmpLine): Promise<BlockNode[]> {
  const nodes = await line.execute('query-named-block-nodes', { flat: true }, blockQueryTimeoutMs)
  return nodes.flatMap((node) => {
    const name = node['node-name']
    if (name === undefined || node.drv === 'file') return []
    const path = pathOf(node.file)
    const backingPath = node.backing_file === undefined ? undefined : resolve(dirname(path), pathOf(node.backing_file))
    return [{ name, driver: node.drv, path, backingPath, depth: node.backing_file_depth }]
  })
}

/** Whether the node was made for this volume, by the command line or by one of the orders here. */
export function belongsTo(node: { readonly name: string }, volumeId: string): boolean {
  return node.name === volumeId || node.name.startsWith(`${volumeId}.`)
}

const describedSchema = z.object({ file: z.object({ filename: z.string() }) })

/** QEMU tells a plain path, or `json:` and all options when a plain path would not open the same thing again. */
export function pathOf(filename: string): string {
  if (!filename.startsWith('json:')) return filename
  return describedSchema.parse(JSON.parse(filename.slice('json:'.length))).file.filename
}
