/**
 * Memory and devices as a stream, out of QEMU and into it. QEMU runs unprivileged and may start no program, and this process cannot hand
 * it an open file: so the stream leaves by a unix socket whose other end is given to a `cat`, and enters by a file that QEMU inherited.
 */
import { spawn } from 'node:child_process'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { inCgroup } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { lastLogLines } from './qemu-process.ts'
import type { QmpLine } from './qmp-session.ts'
import type { QmpCommands } from './qmp-types.ts'

export type MigrationStatus = NonNullable<QmpCommands['query-migrate']['returns']['status']>
type Capability = QmpCommands['migrate-set-capabilities']['arguments']['capabilities'][number]['capability']

const commandTimeoutMs = 5000
/** Between two questions, in case an event went by while the line was down. */
const askAgainMs = 250
/** Between two attempts to let a machine run whose migration is just over. */
const finalizeMs = 2
/** QEMU's own default is 128 MiB/s; this is none. */
const unboundedBytesPerSecond = 2 ** 50
/** Those that are ever used here: each use says which of them are on. */
const capabilities = [
  'background-snapshot',
  'x-ignore-shared',
  'pause-before-switchover',
  'events',
  'return-path',
  'late-block-activate',
  'postcopy-ram',
] as const

/** The file descriptor under which QEMU finds what it was given to load. */
export const incomingFileDescriptor = 3

export async function prepareMigration(line: QmpLine, wanted: readonly (typeof capabilities)[number][]): Promise<void> {
  const states: { capability: Capability; state: boolean }[] = capabilities
    .map((capability) => ({ capability, state: capability === 'events' || wanted.includes(capability) }))
    // What excludes another one has to go first.
    .toSorted((one, other) => Number(one.state) - Number(other.state))
  await line.execute('migrate-set-capabilities', { capabilities: states }, commandTimeoutMs)
  await line.execute('migrate-set-parameters', { 'max-bandwidth': unboundedBytesPerSecond }, commandTimeoutMs)
}

/**
 * Loads what QEMU inherited. It stays paused. Throws `image-corrupt` when the stream is not one, or of another machine: QEMU ends itself
 * then, and says why in its log.
 */
export async function loadIncoming(
  line: QmpLine,
  { logPath, timeoutMs }: { readonly logPath: string; readonly timeoutMs: number },
): Promise<void> {
  try {
    await line.execute('migrate-incoming', { uri: `fd:${incomingFileDescriptor}` }, commandTimeoutMs)
    if ((await waitForMigration(line, ['completed', 'failed'], timeoutMs)) === 'completed') return
  } catch (error) {
    if (!(error instanceof DialtoneError) || error.code !== 'hypervisor-failed') throw error
  }
  const words = await lastLogLines(logPath, 2)
  throw new DialtoneError('image-corrupt', `QEMU could not load the machine from its image: ${words}`)
}

/** The first of these that the migration is in. Throws `deadline-exceeded`. */
export async function waitForMigration(
  line: QmpLine,
  awaited: readonly MigrationStatus[],
  timeoutMs: number,
): Promise<MigrationStatus> {
  const givesUpAt = performance.now() + timeoutMs
  let wake = (): void => undefined
  const stopListening = line.listen(({ event }) => {
    if (event === 'MIGRATION') wake()
  })
  try {
    while (performance.now() < givesUpAt) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve
      })
      const { status = 'none' } = await line.execute('query-migrate', {}, commandTimeoutMs).catch(unlessBusy)
      if (awaited.includes(status)) return status
      await Promise.race([changed, delay(askAgainMs, undefined, { ref: false })])
    }
  } finally {
    stopListening()
  }
  throw new DialtoneError('deadline-exceeded', `the stream of the machine was not through within ${timeoutMs} ms`)
}

/** What its last migration, out or in, has come to. */
export async function readArrivalState(line: QmpLine): Promise<'none' | 'awaited' | 'whole' | 'torn'> {
  const { status = 'none' } = await line.execute('query-migrate', {}, commandTimeoutMs)
  if (status === 'none') return 'none'
  if (status.startsWith('postcopy')) return 'torn'
  return status === 'completed' ? 'whole' : 'awaited'
}

/** QEMU answers nobody while it goes through its whole memory: on a busy machine that takes long, and says nothing. */
function unlessBusy(error: unknown): { readonly status?: MigrationStatus } {
  if (error instanceof DialtoneError && error.code === 'deadline-exceeded') return {}
  throw error
}

/** Stops what is under way. The machine runs on if it ran before; a finished or failed migration is left as it is. */
export async function cancelMigration(line: QmpLine): Promise<void> {
  await line.execute('migrate_cancel', {}, commandTimeoutMs)
  await waitForMigration(line, ['none', 'cancelled', 'completed', 'failed', 'postcopy-paused'], commandTimeoutMs)
}

/**
 * Lets the vCPUs run after a migration. QEMU tells of its end a moment before it allows that; and it never allows it in a migration whose
 * agent died before the last step, so such a one is called off.
 */
export async function continueAfterMigration(line: QmpLine): Promise<void> {
  const givesUpAt = performance.now() + commandTimeoutMs
  for (;;) {
    try {
      await line.execute('cont', {}, commandTimeoutMs)
      return
    } catch (error) {
      const isTooEarly = error instanceof DialtoneError && error.message.includes('not finalized')
      if (!isTooEarly || performance.now() > givesUpAt) throw error
    }
    const { status } = await line.execute('query-migrate', {}, commandTimeoutMs)
    if (status === 'pre-switchover') await cancelMigration(line)
    else await delay(finalizeMs)
  }
}

/** Where QEMU sends its stream to. */
export type StreamReceiver = {
  /** For `migrate`. */
  readonly uri: string
  /** Resolves when all of it is in the file, after QEMU has closed its end. Throws `hypervisor-failed`. */
  readonly received: Promise<void>
  close(): Promise<void>
}

/**
 * Listens in the run directory, which is QEMU's working directory, so that an unprivileged QEMU needs no way to it from the root.
 * `fileDescriptor`: where to write; stays open.
 *
 * Once QEMU sends, nothing may break it off: a live capture that was cancelled hung QEMU 7.2 as a whole, since its thread may end with the
 * memory still protected, and whoever touches that memory next waits for ever. So what takes the stream in is in the machine's own cgroup,
 * needs this process no more, and reads on to the end when it can no longer write.
 */
export async function receiveStream(
  { runDirectory, cgroupDirectory }: { readonly runDirectory: string; readonly cgroupDirectory: string },
  fileDescriptor: number,
): Promise<StreamReceiver> {
  const name = 'stream-socket'
  const path = join(runDirectory, name)
  await rm(path, { force: true })
  const ending = Promise.withResolvers<void>()
  ending.promise.catch(() => undefined)
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    server.close()
    copyInto(socket, fileDescriptor, cgroupDirectory).then(ending.resolve, ending.reject)
  })
  await listen(server, path)
  return {
    uri: `unix:${name}`,
    received: ending.promise,
    close: async () => {
      server.close()
      ending.reject(new DialtoneError('hypervisor-failed', 'QEMU sent nothing'))
      await rm(path, { force: true })
    },
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path, readableAll: true, writableAll: true }, resolve)
  })
}

/** The child has the connection to itself: data that this process read would be missing. */
function copyInto(socket: Socket, fileDescriptor: number, cgroupDirectory: string): Promise<void> {
  const [shell = '/bin/sh', ...args] = inCgroup(cgroupDirectory, '/bin/sh', [
    '-c',
    'cat || { cat > /dev/null; exit 1; }',
  ])
  return new Promise((resolve, reject) => {
    const copy = spawn(shell, args, { stdio: [socket, fileDescriptor, 'pipe'], detached: true })
    let words = ''
    copy.stderr?.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-1000)
    })
    const fail = (why: string) => reject(new DialtoneError('hypervisor-failed', `the stream cannot be written: ${why}`))
    copy.once('error', (error) => fail(error.message))
    copy.once('close', (code, signal) =>
      code === 0 ? resolve() : fail(words.trim() || `cat ended with ${signal ?? code}`),
    )
    copy.unref()
    socket.destroy()
  })
}

/** Throws `image-corrupt` when it cannot be read. */
export async function openImageFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (error) {
    throw new DialtoneError('image-corrupt', `${path} cannot be read`, { cause: error })
  }
}

/** Opens a file that must not exist yet, runs `write` with it, makes it durable, and removes it if anything fails. */
export async function writeNewFile(path: string, write: (fileDescriptor: number) => Promise<void>): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await write(file.fd)
    await file.sync()
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
}
