/** Discs in the drives of a machine that runs. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { closeNode, pathOf, removeNode } from './block-nodes.ts'
import { discNodes, driveId } from './platform-arguments.ts'
import type { QmpLine } from './qmp-session.ts'

const commandTimeoutMs = 10_000

export async function changeDisc(
  line: QmpLine,
  { drive, path, isForced }: { readonly drive: number; readonly path: string | null; readonly isForced: boolean },
): Promise<void> {
  const id = driveId(drive)
  const before = await nodeIn(line, drive)
  if (before?.path === (path ?? undefined)) return
  await openTray(line, id, isForced)
  if (before !== undefined) {
    await line.execute('blockdev-remove-medium', { id }, commandTimeoutMs)
    await removeNode(line, before.name)
  }
  if (path !== null) {
    const name = `${id}-${numberOf(before?.name) + 1}`
    const { file, format } = discNodes(name, path)
    await line.execute('blockdev-add', file, commandTimeoutMs)
    try {
      await line.execute('blockdev-add', format, commandTimeoutMs)
    } catch (error) {
      await closeNode(line, file['node-name'])
      throw error
    }
    await line.execute('blockdev-insert-medium', { id, 'node-name': name }, commandTimeoutMs)
  }
  await line.execute('blockdev-close-tray', { id }, commandTimeoutMs)
}

/** A guest that has the disc mounted locks the drive. It has been asked to let go by then. */
async function openTray(line: QmpLine, id: string, force: boolean): Promise<void> {
  try {
    await line.execute('blockdev-open-tray', { id, force }, commandTimeoutMs)
  } catch (error) {
    if (!(error instanceof DialtoneError) || !error.message.includes('locked')) throw error
    throw new DialtoneError(
      'in-use',
      'the guest has locked the drive: unmount the disc in it first, or force the drive open',
    )
  }
}

async function nodeIn(
  line: QmpLine,
  drive: number,
): Promise<{ readonly name: string; readonly path: string } | undefined> {
  for (const { qdev, inserted } of await line.execute('query-block', {}, commandTimeoutMs)) {
    const name = inserted?.['node-name']
    if (qdev === driveId(drive) && inserted !== undefined && name !== undefined)
      return { name, path: pathOf(inserted.file) }
  }
  return undefined
}

function numberOf(nodeName: string | undefined): number {
  return Number(/-(\d+)$/.exec(nodeName ?? '')?.[1] ?? 0)
}
