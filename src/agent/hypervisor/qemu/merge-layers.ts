/** Shortens a disk's chain of layers while the machine runs, by a job of QEMU's that outlives this process. */
import { createHash } from 'node:crypto'
import { dirname, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { blockQueryTimeoutMs, listLayerNodes } from './block-nodes.ts'
import type { QmpLine } from './qmp-session.ts'

export type LayerRange = { readonly topPath: string; readonly basePath: string }

const commandTimeoutMs = 5000
/** Data of many gigabytes on a slow storage. */
const mergeTimeoutMs = 30 * 60_000
const askAgainMs = 500

/**
 * Copies what lies between the two layers into `topPath`, and lets it lie on `basePath`. Throws `hypervisor-failed` when QEMU refuses, which
 * it does while another process has `topPath` open.
 */
export async function mergeLayers(line: QmpLine, volumeId: string, { topPath, basePath }: LayerRange): Promise<void> {
  const jobId = `merge-${volumeId}-${createHash('sha256').update(topPath).digest('hex').slice(0, 12)}`
  // One that an earlier agent began, or one that it did not see the end of.
  await finishJob(line, jobId).catch(() => undefined)
  const nodes = await listLayerNodes(line)
  const top = nodes.find(({ path }) => path === topPath)
  const base = nodes.find(({ path }) => path === basePath)
  if (top === undefined || base === undefined)
    throw new DialtoneError(
      'not-found',
      `${top === undefined ? topPath : basePath} is no layer of a disk that the machine has open`,
    )
  if (top.backingPath === basePath) return
  await line.execute(
    'block-stream',
    {
      'job-id': jobId,
      device: top.name,
      'base-node': base.name,
      // As the storage writes it, so that the folder can be mounted elsewhere.
      'backing-file': relative(dirname(topPath), basePath),
      'auto-dismiss': false,
    },
    blockQueryTimeoutMs,
  )
  await finishJob(line, jobId)
}

/** Waits for the end of a job and clears it away. Throws what it failed with. None of that name is fine. */
async function finishJob(line: QmpLine, id: string): Promise<void> {
  const givesUpAt = performance.now() + mergeTimeoutMs
  let wake = (): void => undefined
  const stopListening = line.listen((event) => {
    if (event.event === 'JOB_STATUS_CHANGE' && event.data.id === id && event.data.status === 'concluded') wake()
  })
  try {
    while (performance.now() < givesUpAt) {
      const concluded = new Promise<void>((resolve) => {
        wake = resolve
      })
      const job = (await line.execute('query-jobs', {}, commandTimeoutMs)).find((one) => one.id === id)
      if (job === undefined) return
      if (job.status === 'concluded') {
        await line.execute('job-dismiss', { id }, commandTimeoutMs)
        if (job.error === undefined) return
        throw new DialtoneError('hypervisor-failed', `the layers could not be merged: ${job.error}`)
      }
      await Promise.race([concluded, delay(askAgainMs, undefined, { ref: false })])
    }
    await line.execute('job-cancel', { id }, commandTimeoutMs)
  } finally {
    stopListening()
  }
  throw new DialtoneError('deadline-exceeded', `the layers were not merged within ${mergeTimeoutMs} ms`)
}
