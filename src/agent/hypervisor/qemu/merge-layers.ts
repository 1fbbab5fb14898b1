/** Shortens a disk's chain of layers while the machine runs, by a job of QEMU's that outlives this process. */
import { createHash } from 'node:crypto'
import { dirname, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { MergeOptions } from '../hypervisor.ts'
import { attachedNodes, belongsTo, blockQueryTimeoutMs, listLayerNodes, removeNode } from './block-nodes.ts'
import type { QmpLine } from './qmp-session.ts'

type MergeJob = { readonly jobId: string; readonly topPath: string }

export type LayerRange = { readonly volumeId: string; readonly topPath: string; readonly basePath: string }

const commandTimeoutMs = 5000
const jobPrefix = 'merge-'
/** Nothing was copied for so long: the storage is gone, and somebody has to look. */
const stalledMs = 5 * 60_000
const askAgainMs = 500
const flushTimeoutMs = 60_000

/**
 * Copies what lies between the two layers into `topPath`, and lets it lie on `basePath`. Throws `hypervisor-failed` when QEMU refuses, which
 * it does while another process has `topPath` open.
 */
export async function mergeLayers(
  line: QmpLine,
  { volumeId, topPath, basePath }: LayerRange,
  options: MergeOptions = {},
): Promise<void> {
  const jobId = `${jobPrefix}${volumeId}-${createHash('sha256').update(topPath).digest('hex').slice(0, 12)}`
  // One that an earlier agent began, or one that it did not see the end of.
  await finishJob(line, { jobId, topPath }, options).catch((error: unknown) => {
    if (options.signal?.aborted === true) throw error
  })
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
      // What was copied is flushed before the layer is told to lie on the lower one: see `finalize`.
      'auto-finalize': false,
      ...(options.bytesPerSecond === undefined ? {} : { speed: options.bytesPerSecond }),
    },
    blockQueryTimeoutMs,
  )
  await finishJob(line, { jobId, topPath }, options)
  await closeLeftLayers(line, volumeId)
}

/** Ends those that an earlier agent began and nobody has gone on with: while one is open, QEMU lets nothing else be done to its disk. */
export async function callOffMerges(line: QmpLine): Promise<void> {
  const jobs = await line.execute('query-jobs', {}, commandTimeoutMs)
  for (const { id } of jobs.filter((job) => job.id.startsWith(jobPrefix)))
    await finishJob(line, { jobId: id, topPath: '' }, { signal: AbortSignal.abort() }).catch((error: unknown) => {
      if (!(error instanceof DialtoneError) || error.code !== 'cancelled') throw error
    })
}

/**
 * Closes the layers of a disk that it no longer lies on. What QEMU had opened by itself went with the chain; what an order had added stays
 * open until an order closes it, and its file is not removed as long as it is open.
 */
export async function closeLeftLayers(line: QmpLine, volumeId: string): Promise<void> {
  const nodes = await listLayerNodes(line)
  const attached = (await attachedNodes(line)).get(volumeId)
  // Without its device nobody knows what it consists of.
  if (attached === undefined) return
  const chain = new Set<string>()
  for (let path: string | undefined = attached.path; path !== undefined && !chain.has(path); ) {
    const under: string = path
    chain.add(under)
    path = nodes.find((node) => node.path === under)?.backingPath
  }
  const left = nodes.filter((node) => belongsTo(node, volumeId) && !chain.has(node.path))
  for (const { name } of left.toSorted((one, other) => other.depth - one.depth)) await removeNode(line, name)
}

/** Waits for the end of a job and clears it away. Throws what it failed with. None of that name is fine. */
async function finishJob(
  line: QmpLine,
  { jobId: id, topPath }: MergeJob,
  { signal, onProgress }: MergeOptions,
): Promise<void> {
  let wake = (): void => undefined
  let [progress, movedAt, isCancelAsked] = [-1, performance.now(), false]
  const stopListening = line.listen((event) => {
    if (event.event === 'JOB_STATUS_CHANGE' && event.data.id === id && isTurn(event.data.status)) wake()
  })
  const abort = () => wake()
  signal?.addEventListener('abort', abort)
  try {
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      const job = (await line.execute('query-jobs', {}, commandTimeoutMs)).find((one) => one.id === id)
      if (job === undefined) return
      if (job.status === 'concluded') return await dismiss(line, job, signal)
      if (job.status === 'pending' && signal?.aborted !== true) await finalize(line, { jobId: id, topPath })
      if (job['current-progress'] !== progress) [progress, movedAt] = [job['current-progress'], performance.now()]
      onProgress?.(progress / Math.max(1, job['total-progress']))
      const isStalled = performance.now() - movedAt > stalledMs
      if ((signal?.aborted === true || isStalled) && !isCancelAsked) {
        isCancelAsked = true
        await line.execute('job-cancel', { id }, commandTimeoutMs)
      } else if (isStalled && performance.now() - movedAt > 2 * stalledMs)
        throw new DialtoneError(
          'deadline-exceeded',
          'the merge of layers stands still, and does not let itself be ended',
        )
      await Promise.race([woken, delay(askAgainMs, undefined, { ref: false })])
    }
  } finally {
    stopListening()
    signal?.removeEventListener('abort', abort)
  }
}

function isTurn(status: string): boolean {
  return status === 'concluded' || status === 'pending'
}

/**
 * QEMU tells the layer what it lies on as soon as all is copied, but keeps where it was copied to in its own memory for as long as the guest
 * asks for no flush. Were it killed in between, what the guest had long made durable would be gone: so it is flushed first.
 */
async function finalize(line: QmpLine, { jobId, topPath }: MergeJob): Promise<void> {
  const top = (await listLayerNodes(line)).find(({ path }) => path === topPath)
  if (top === undefined)
    throw new DialtoneError('not-found', `${topPath} is no layer of a disk that the machine has open`)
  // The machine protocol has no order for it.
  const answer = await line.execute(
    'human-monitor-command',
    { 'command-line': `qemu-io ${top.name} flush` },
    flushTimeoutMs,
  )
  if (answer.trim() !== '') {
    await line.execute('job-cancel', { id: jobId }, commandTimeoutMs)
    throw new DialtoneError('hypervisor-failed', `what was merged could not be flushed: ${answer.trim()}`)
  }
  await line.execute('job-finalize', { id: jobId }, commandTimeoutMs)
}

async function dismiss(
  line: QmpLine,
  { id, error }: { readonly id: string; readonly error?: string | undefined },
  signal: AbortSignal | undefined,
): Promise<void> {
  await line.execute('job-dismiss', { id }, commandTimeoutMs)
  if (error === undefined) return
  if (signal?.aborted === true) throw new DialtoneError('cancelled', 'the merge of layers was called off')
  throw new DialtoneError('hypervisor-failed', `the layers could not be merged: ${error}`)
}
