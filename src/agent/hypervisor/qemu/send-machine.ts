/**
 * A running machine's memory and devices to another QEMU: over a socket in its run directory, whose other end is here. QEMU waits before
 * it gives the disks away, so that what has to be written down first can be.
 */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { OutgoingMachine, SendOptions, SendProgress } from '../moving-machine.ts'
import { handSocket } from './hand-socket.ts'
import { cancelMigration, prepareMigration, waitForMigration } from './migration.ts'
import type { QmpLine } from './qmp-session.ts'

const commandTimeoutMs = 5000
const pauseTimeoutMs = 20_000
/** Whoever moves a machine has a bound of their own; this one is only so that no wait is for ever. */
const longestMs = 24 * 3_600_000
const finishTimeoutMs = 600_000
const socketName = 'move-socket'

export async function sendMachine(line: QmpLine, runDirectory: string, options: SendOptions): Promise<OutgoingMachine> {
  await prepareMigration(line, ['return-path', 'pause-before-switchover', ...(options.isLive ? autoConverge : [])])
  const allowPause = async (limitMs: number) =>
    void (await line.execute('migrate-set-parameters', { 'downtime-limit': limitMs }, commandTimeoutMs))
  await allowPause(options.pauseLimitMs)
  let stoppedAtMs: number | undefined
  const stopListening = line.listen(({ event, atMs }) => {
    if (event === 'STOP') stoppedAtMs = atMs
    if (event === 'RESUME') stoppedAtMs = undefined
  })
  try {
    if (!options.isLive) await line.execute('stop', {}, pauseTimeoutMs)
    const stream = await handSocket(runDirectory, {
      name: socketName,
      tell: () => line.execute('migrate', { uri: `unix:${socketName}` }, commandTimeoutMs),
    })
    const stopped = waitForSwitchover(line)
    stopped.catch(() => stream.destroy())
    return {
      stream,
      stopped,
      stoppedAtMs: () => stoppedAtMs,
      progress: () => readProgress(line),
      allowPause,
      stop: async () => void (await line.execute('stop', {}, pauseTimeoutMs)),
      finish: () => finish(line).finally(stopListening),
      cancel: async () => {
        stopListening()
        stream.destroy()
        await cancelMigration(line)
      },
    }
  } catch (error) {
    stopListening()
    throw error
  }
}

const autoConverge = ['auto-converge'] as const

async function waitForSwitchover(line: QmpLine): Promise<void> {
  const status = await waitForMigration(line, ['pre-switchover', ...ends], longestMs)
  if (status !== 'pre-switchover') throw await failure(line, status)
}

const ends = ['failed', 'cancelled', 'completed'] as const

async function finish(line: QmpLine): Promise<void> {
  await line.execute('migrate-continue', { state: 'pre-switchover' }, commandTimeoutMs)
  const status = await waitForMigration(line, ends, finishTimeoutMs)
  if (status !== 'completed') throw await failure(line, status)
}

async function failure(line: QmpLine, status: string): Promise<DialtoneError> {
  const told = await line.execute('query-migrate', {}, commandTimeoutMs).catch(() => undefined)
  const why = told?.['error-desc']
  return new DialtoneError('hypervisor-failed', `the machine could not be sent: ${why ?? `the stream ${status}`}`)
}

async function readProgress(line: QmpLine): Promise<SendProgress> {
  const { ram } = await line.execute('query-migrate', {}, commandTimeoutMs)
  return {
    transferredBytes: ram?.transferred ?? 0,
    remainingBytes: ram?.remaining ?? 0,
    totalBytes: ram?.total ?? 0,
    dirtyBytesPerSecond: (ram?.['dirty-pages-rate'] ?? 0) * (ram?.['page-size'] ?? 4096),
    passes: ram?.['dirty-sync-count'] ?? 0,
  }
}
