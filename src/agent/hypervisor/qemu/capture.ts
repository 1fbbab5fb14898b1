/**
 * Captures memory, devices and disks of one instant. While the vCPUs stand still, each disk gets its overlay, in one transaction; the
 * instant of the memory is the same, because QEMU lets no vCPU run in between.
 *
 * Live (`background-snapshot`, userfaultfd): QEMU protects the memory, resumes the machine by itself and saves each page before it
 * changes. A `cont` of ours could let the guest write before the protection stands, so there is none. Otherwise memory is copied while the
 * machine runs and what changed meanwhile is copied again (as in Clark et al., "Live migration of virtual machines", NSDI 2005), until the
 * rest is small enough to stand still for.
 */
import { type FileHandle, open, rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { Capture, CaptureRequest } from '../hypervisor.ts'
import { addOverlayNode, attachedNodes, blockQueryTimeoutMs, removeNode } from './block-nodes.ts'
import { callOffMerges } from './merge-layers.ts'
import {
  cancelMigration,
  continueAfterMigration,
  type MigrationStatus,
  prepareMigration,
  receiveStream,
  type StreamReceiver,
  waitForMigration,
} from './migration.ts'
import type { QmpLine } from './qmp-session.ts'
import { touchMemory } from './touch-memory.ts'

export type CapturePlace = {
  readonly runDirectory: string
  readonly cgroupDirectory: string
  readonly fileLocking: boolean
}

const commandTimeoutMs = 5000
/** `stop` waits for the writes in flight, which is as long as the storage takes. */
const stopTimeoutMs = 20_000
const resumeTimeoutMs = 20_000
const askAgainMs = 100
/** A guest of many gigabytes on a slow disk. */
const writeTimeoutMs = 30 * 60_000
/** How long copying may chase a guest that changes its memory before the guest has to stand still for whatever is left. */
const chaseMs = 30_000
/** What is left must be through in this time, in ms, before the guest is stopped for it. */
const restMs = { usual: 20, whateverItTakes: 2_000_000 }

/** See the port. The machine's own stream socket is in its run directory, so one capture goes on at a time. */
export async function captureMachine(line: QmpLine, request: CaptureRequest, place: CapturePlace): Promise<Capture> {
  const { running } = await line.execute('query-status', {}, commandTimeoutMs)
  const wasRunning = running || request.isHeld === true
  const file = await openNew(request.streamPath)
  let receiver: StreamReceiver | undefined
  const close = async () => {
    await receiver?.close()
    await file.close()
  }
  try {
    receiver = await receiveStream(place, file.fd)
    const { uri } = receiver
    const isLive = wasRunning && (await canCaptureLive(line))
    const instant = await withOverlays(line, { request, place }, (swapDisks) =>
      isLive ? takeLive(line, { uri, swapDisks }) : takeWhileCopying(line, { uri, swapDisks, wasRunning }),
    )
    const written = finish(line, receiver, close)
    // Whoever does not wait for it must not be ended by it.
    written.catch(() => undefined)
    // Memory was copied while it ran in either way; a machine that stood still before has not lost anything.
    return { ...instant, isLive: wasRunning, written }
  } catch (error) {
    await close()
    await rm(request.streamPath, { force: true })
    throw error
  }
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (error) {
    throw new DialtoneError('hypervisor-failed', `the stream cannot be written to ${path}`, { cause: error })
  }
}

async function finish(line: QmpLine, receiver: StreamReceiver, close: () => Promise<void>): Promise<void> {
  try {
    const status = await waitForMigration(line, ['completed', 'failed', 'cancelled'], writeTimeoutMs)
    if (status !== 'completed') throw await streamBroke(line)
    await receiver.received
  } finally {
    await close()
  }
}

async function streamBroke(line: QmpLine): Promise<DialtoneError> {
  const why = (await line.execute('query-migrate', {}, commandTimeoutMs))['error-desc'] ?? 'QEMU does not say why'
  return new DialtoneError('hypervisor-failed', `the machine's memory could not be written: ${why}`)
}

/** QEMU refuses it on memory that cannot be protected: files, except in a RAM-backed file system. */
async function canCaptureLive(line: QmpLine): Promise<boolean> {
  try {
    await prepareMigration(line, ['background-snapshot'])
    return true
  } catch (error) {
    if (error instanceof DialtoneError && error.message.includes('Background-snapshot is not')) return false
    throw error
  }
}

type SwapDisks = () => Promise<void>

/** See the port. QEMU lets no write of the guest come between two disks of one transaction. */
export async function addOverlays(
  line: QmpLine,
  overlays: CaptureRequest['overlays'],
  place: Pick<CapturePlace, 'fileLocking'>,
): Promise<void> {
  await withOverlays(line, { request: { overlays }, place }, (swapDisks) => swapDisks())
}

/** Opens the overlays, and closes those again that nothing writes to if it fails. */
async function withOverlays<T>(
  line: QmpLine,
  {
    request,
    place,
  }: { readonly request: Pick<CaptureRequest, 'overlays'>; readonly place: Pick<CapturePlace, 'fileLocking'> },
  take: (swapDisks: SwapDisks) => Promise<T>,
): Promise<T> {
  const added: { readonly volumeId: string; readonly overlay: string }[] = []
  const swapDisks = async () => {
    const current = await attachedNodes(line)
    const actions = added.map(({ volumeId, overlay }) => ({
      type: 'blockdev-snapshot' as const,
      data: { node: current.get(volumeId)?.name ?? volumeId, overlay },
    }))
    if (actions.length > 0) await line.execute('transaction', { actions }, blockQueryTimeoutMs)
  }
  await callOffMerges(line)
  try {
    for (const { volumeId, path } of request.overlays)
      added.push({ volumeId, overlay: await addOverlayNode(line, { volumeId, path }, place.fileLocking) })
    return await take(swapDisks)
  } catch (error) {
    const current = await attachedNodes(line)
    for (const { volumeId, overlay } of added)
      if (current.get(volumeId)?.name !== overlay) await removeNode(line, overlay)
    throw error
  }
}

type Instant = Pick<Capture, 'pauseMs' | 'capturedAt'>

async function takeLive(
  line: QmpLine,
  { uri, swapDisks }: { readonly uri: string; readonly swapDisks: SwapDisks },
): Promise<Instant> {
  await touchMemory(line)
  const moments = watchMoments(line)
  try {
    await line.execute('stop', {}, stopTimeoutMs)
    await swapDisks()
    await line.execute('migrate', { uri }, commandTimeoutMs)
    await moments.resumed(resumeTimeoutMs)
    return moments.instant()
  } catch (error) {
    // Once it runs under protection a capture must not be cancelled: see receiveStream.
    if (!(await line.execute('query-status', {}, commandTimeoutMs)).running) {
      await cancelMigration(line)
      await continueAfterMigration(line)
    }
    throw error
  } finally {
    moments.end()
  }
}

async function takeWhileCopying(
  line: QmpLine,
  { uri, swapDisks, wasRunning }: { readonly uri: string; readonly swapDisks: SwapDisks; readonly wasRunning: boolean },
): Promise<Instant> {
  await prepareMigration(line, ['pause-before-switchover'])
  const moments = watchMoments(line)
  try {
    await line.execute('migrate-set-parameters', { 'downtime-limit': restMs.usual }, commandTimeoutMs)
    await line.execute('migrate', { uri }, commandTimeoutMs)
    await waitUntilItStands(line)
    await swapDisks()
    await line.execute('migrate-continue', { state: 'pre-switchover' }, commandTimeoutMs)
    await requireStatus(line, 'completed', writeTimeoutMs)
    if (wasRunning) await continueAfterMigration(line)
    return wasRunning ? moments.instant() : { pauseMs: 0, capturedAt: new Date() }
  } catch (error) {
    await cancelMigration(line)
    if (wasRunning) await continueAfterMigration(line)
    throw error
  } finally {
    moments.end()
  }
}

async function waitUntilItStands(line: QmpLine): Promise<void> {
  try {
    await requireStatus(line, 'pre-switchover', chaseMs)
  } catch (error) {
    if (!(error instanceof DialtoneError) || error.code !== 'deadline-exceeded') throw error
    await line.execute('migrate-set-parameters', { 'downtime-limit': restMs.whateverItTakes }, commandTimeoutMs)
    await requireStatus(line, 'pre-switchover', writeTimeoutMs)
  }
}

async function requireStatus(line: QmpLine, wanted: MigrationStatus, timeoutMs: number): Promise<void> {
  const status = await waitForMigration(line, [wanted, 'failed', 'cancelled'], timeoutMs)
  if (status !== wanted) throw await streamBroke(line)
}

type Moments = {
  /** Returns when the vCPUs ran again after they had stopped. Throws when the migration fails before. */
  resumed(timeoutMs: number): Promise<void>
  instant(): Instant
  end(): void
}

/** When the vCPUs stopped and ran again, by QEMU's own clock. */
function watchMoments(line: QmpLine): Moments {
  let stoppedAtMs: number | undefined
  let resumedAtMs: number | undefined
  let wake = (): void => undefined
  const end = line.listen((event) => {
    if (event.event === 'STOP') stoppedAtMs ??= event.atMs
    if (event.event === 'RESUME' && stoppedAtMs !== undefined) resumedAtMs ??= event.atMs
    wake()
  })
  const resumed = async (timeoutMs: number): Promise<void> => {
    const givesUpAt = performance.now() + timeoutMs
    while (performance.now() < givesUpAt) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve
      })
      if (resumedAtMs !== undefined) return
      const { status } = await line.execute('query-migrate', {}, commandTimeoutMs)
      if (status === 'failed' || status === 'cancelled') throw await streamBroke(line)
      await Promise.race([changed, delay(askAgainMs, undefined, { ref: false })])
    }
    throw new DialtoneError('deadline-exceeded', `the machine did not run again within ${timeoutMs} ms`)
  }
  const instant = () => {
    const at = stoppedAtMs ?? Date.now()
    return { pauseMs: Math.max(0, (resumedAtMs ?? Date.now()) - at), capturedAt: new Date(at) }
  }
  return { resumed, instant, end }
}
