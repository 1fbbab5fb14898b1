/**
 * A disk copied while its machine writes to it, by a job of QEMU's that outlives this process where its target is a file. What the job is
 * called says which disk it is for, so that the next agent finds it again.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { joinStreams } from '../../../transport/join-streams.ts'
import type { DiskMirror, MirrorRequest, MirrorTarget } from '../disk-mirror.ts'
import {
  attachedNodes,
  blockQueryTimeoutMs,
  closeNode,
  listLayerNodes,
  nodeOptions,
  overlayNodeName,
  removeNode,
} from './block-nodes.ts'
import { handSocket } from './hand-socket.ts'
import type { QmpLine } from './qmp-session.ts'
import type { QmpCommands } from './qmp-types.ts'

const commandTimeoutMs = 5000
/** What is in flight when the machine stands still: whoever waits has a bound of their own. */
const finishTimeoutMs = 60_000
/** Between two questions, in case an event went by while the line was down. */
const askAgainMs = 250
const socketName = 'copy-socket'

type Job = QmpCommands['query-jobs']['returns'][number]

export type MirrorPlace = { readonly runDirectory: string; readonly fileLocking: boolean }

/** For a file, a mirror to it that goes on already is followed, not begun anew. */
export async function mirrorDisk(
  line: QmpLine,
  { runDirectory, fileLocking }: MirrorPlace,
  { volumeId, target, scope }: MirrorRequest,
): Promise<DiskMirror> {
  const attached = (await attachedNodes(line)).get(volumeId)
  if (attached === undefined) throw new DialtoneError('not-found', `the machine has no disk ${volumeId}`)
  const node = nodeNameOf(volumeId, target)
  const isThere = target.kind === 'file' && target.disk.path === attached.path
  if (isThere || (target.kind === 'file' && (await isUnderWay(line, node)))) return followMirror(line, volumeId, target)
  await endMirror(line, node)
  try {
    await openTarget(line, { volumeId, node, target }, { runDirectory, fileLocking })
    await line.execute(
      'blockdev-mirror',
      {
        'job-id': jobIdOf(node),
        device: attached.name,
        target: node,
        sync: scope === 'top-layer' ? 'top' : 'full',
        'copy-mode': 'write-blocking',
        'on-source-error': 'report',
        'on-target-error': 'report',
        'auto-dismiss': false,
      },
      blockQueryTimeoutMs,
    )
    return followMirror(line, volumeId, target)
  } catch (error) {
    await endMirror(line, node).catch(() => undefined)
    throw error
  }
}

/** Of an earlier agent, too. */
export function endMirrorOf(line: QmpLine, { volumeId, target }: MirrorRequest): Promise<void> {
  return followMirror(line, volumeId, target).cancel()
}

function followMirror(line: QmpLine, volumeId: string, target: MirrorTarget): DiskMirror {
  const node = nodeNameOf(volumeId, target)
  const id = jobIdOf(node)
  const isReady = (job: Job | undefined) => job?.status === 'ready'
  const isOver = (job: Job | undefined) => job === undefined || job.status === 'concluded'
  const isSwitched = async () =>
    target.kind === 'file' && (await attachedNodes(line)).get(volumeId)?.path === target.disk.path
  const ready = (async () => {
    if (await isSwitched()) return
    const job = await untilJob(line, { id, isSo: (one) => isReady(one) || isOver(one) })
    if (!isReady(job)) throw broke(volumeId, job)
  })()
  ready.catch(() => undefined)
  return {
    ready,
    progress: async () => {
      const job = await findJob(line, id)
      if (isOver(job) && !(await isSwitched())) throw broke(volumeId, job)
      return { copiedBytes: job?.['current-progress'] ?? 0, totalBytes: job?.['total-progress'] ?? 0 }
    },
    finish: async () => {
      if (!isReady(await findJob(line, id))) throw broke(volumeId, await findJob(line, id))
      // Not by force: it ends when both are the same, and leaves the machine its disk.
      await line.execute('block-job-cancel', { device: id, force: false }, commandTimeoutMs)
      await conclude(line, node)
      await closeTarget(line, node)
      if (target.kind === 'stream') target.stream.destroy()
    },
    switchOver: async () => {
      if (await isSwitched()) return
      const old = (await attachedNodes(line)).get(volumeId)
      const chain = await chainOf(line, old?.path)
      await line.execute('job-complete', { id }, commandTimeoutMs)
      await conclude(line, node)
      if (!(await isSwitched())) throw new DialtoneError('hypervisor-failed', `${volumeId} is not on its copy`)
      for (const name of chain) await removeNode(line, name)
    },
    cancel: async () => {
      if (target.kind === 'stream') target.stream.destroy()
      if (!(await isSwitched())) await endMirror(line, node)
    },
  }
}

async function openTarget(
  line: QmpLine,
  { volumeId, node, target }: { readonly volumeId: string; readonly node: string; readonly target: MirrorTarget },
  { runDirectory, fileLocking }: MirrorPlace,
): Promise<void> {
  if (target.kind === 'file') {
    const { file, format } = nodeOptions(node, target.disk, fileLocking)
    await line.execute('blockdev-add', file, blockQueryTimeoutMs)
    await line.execute('blockdev-add', format, blockQueryTimeoutMs)
    return
  }
  const copy = {
    driver: 'nbd',
    'node-name': node,
    server: { type: 'unix', path: socketName },
    export: volumeId,
    discard: 'unmap',
  } as const
  await handSocket(runDirectory, {
    name: socketName,
    tell: () => line.execute('blockdev-add', copy, blockQueryTimeoutMs),
    // It speaks with the other end before it answers.
    onConnected: (socket) => joinStreams(socket, target.stream),
  })
}

/** Whatever has become of it. None is fine. */
async function endMirror(line: QmpLine, node: string): Promise<void> {
  const id = jobIdOf(node)
  const job = await findJob(line, id)
  if (job !== undefined && job.status !== 'concluded')
    await line.execute('block-job-cancel', { device: id, force: true }, commandTimeoutMs).catch(() => undefined)
  if (job !== undefined) await conclude(line, node).catch(() => undefined)
  await closeTarget(line, node)
}

async function closeTarget(line: QmpLine, node: string): Promise<void> {
  const present = await line.execute('query-named-block-nodes', { flat: true }, blockQueryTimeoutMs)
  for (const name of [node, `${node}-file`])
    if (present.some((one) => one['node-name'] === name)) await closeNode(line, name)
}

/** The layers of the file that a disk is on, from the top down, without the template under them, which QEMU opened by itself. */
async function chainOf(line: QmpLine, path: string | undefined): Promise<readonly string[]> {
  const nodes = await listLayerNodes(line)
  const names: string[] = []
  for (let next = path; next !== undefined; ) {
    const node = nodes.find((one) => one.path === next && !one.name.startsWith('#'))
    if (node === undefined) break
    names.push(node.name)
    next = node.backingPath
  }
  return names
}

async function isUnderWay(line: QmpLine, node: string): Promise<boolean> {
  const job = await findJob(line, jobIdOf(node))
  return job !== undefined && job.status !== 'concluded'
}

/** Waits for the end of the job and clears it away; throws what it failed with. */
async function conclude(line: QmpLine, node: string): Promise<void> {
  const id = jobIdOf(node)
  const isSo = (one: Job | undefined) => one === undefined || one.status === 'concluded'
  const job = await untilJob(line, { id, isSo, withinMs: finishTimeoutMs })
  if (job === undefined) return
  await line.execute('job-dismiss', { id }, commandTimeoutMs)
  if (job.error !== undefined) throw broke(node, job)
}

type JobWait = { readonly id: string; readonly withinMs?: number; isSo(job: Job | undefined): boolean }

async function untilJob(
  line: QmpLine,
  { id, isSo, withinMs = Number.POSITIVE_INFINITY }: JobWait,
): Promise<Job | undefined> {
  const givesUpAt = performance.now() + withinMs
  let wake = (): void => undefined
  const stopListening = line.listen((event) => {
    if (event.event === 'JOB_STATUS_CHANGE' && event.data.id === id) wake()
  })
  try {
    while (performance.now() < givesUpAt) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve
      })
      const job = await findJob(line, id)
      if (isSo(job)) return job
      await Promise.race([changed, delay(askAgainMs, undefined, { ref: false })])
    }
  } finally {
    stopListening()
  }
  throw new DialtoneError('deadline-exceeded', `the copying of a disk did not end within ${finishTimeoutMs} ms`)
}

async function findJob(line: QmpLine, id: string): Promise<Job | undefined> {
  return (await line.execute('query-jobs', {}, commandTimeoutMs)).find((one) => one.id === id)
}

function jobIdOf(node: string): string {
  return `move-${node}`
}

function nodeNameOf(volumeId: string, target: MirrorTarget): string {
  return target.kind === 'file' ? overlayNodeName(volumeId, target.disk.path) : `${volumeId}.copy`
}

function broke(name: string, job: Job | undefined): DialtoneError {
  return new DialtoneError('hypervisor-failed', `the copying of ${name} broke off: ${job?.error ?? 'it is gone'}`)
}
