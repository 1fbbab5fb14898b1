/** Starts QEMU for a machine, paused, and returns when it answers: for a boot, for a spare and for baking an image. */
import { chmod, chown, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { isCgroupEmpty } from '../../../linux/cgroup.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { MachineShape } from '../hypervisor.ts'
import { buildCommandLine, type CommandLineOptions } from './command-line.ts'
import { identifyProcess, isProcessAlive, type ProcessIdentity, readMachineRecord } from './process-identity.ts'
import { lastLogLines, type QemuProcess, settlesWithin, startQemuProcess } from './qemu-process.ts'
import { createQmpSession, type QmpSession } from './qmp-session.ts'
import { maximumSocketPathBytes, type RunFiles, runFiles } from './run-files.ts'
import { startTpm } from './tpm.ts'

export type LaunchOptions = CommandLineOptions & {
  readonly binary: string
  /** What QEMU finds as its file descriptor 3: an open file, or a stream to here. */
  readonly inherited?: number | 'stream'
  /** In a network of its own, with a tap that leads nowhere: the card is the same for the guest. */
  readonly isCutOff?: boolean
}

export type LaunchedQemu = {
  readonly process: QemuProcess
  readonly identity: ProcessIdentity
  readonly session: QmpSession
}

/** From the start of the process to its first answer: 0.1 s on a calm machine. */
const startTimeoutMs = 15_000
const connectRetryMs = 4
const killTimeoutMs = 5000

/** On failure nothing of it is left running. The caller sees to it that no two launches go on in one run directory. */
export async function launchQemu(shape: MachineShape, options: LaunchOptions): Promise<LaunchedQemu> {
  const { runDirectory, cgroupDirectory, userId } = shape
  const files = runFiles(runDirectory)
  await requireFreeDirectory(runDirectory, files)
  // It works in this directory, where sockets are handed to it later, and needs no way to it from the root.
  await chown(runDirectory, 0, userId)
  await chmod(runDirectory, 0o710)
  const { binary, inherited, isCutOff } = options
  const { tpmDirectory } = shape.platform ?? {}
  const endTpm = tpmDirectory === undefined ? undefined : await startTpm(shape, tpmDirectory)
  const qemu = await startQemuProcess({
    binary,
    args: buildCommandLine(shape, options),
    cgroupDirectory,
    runDirectory,
    logPath: files.log,
    ...(inherited === undefined ? {} : { inherited }),
    ...(isCutOff === undefined ? {} : { isCutOff }),
  })
  const session = createQmpSession(files.qmp)
  try {
    await connectWhileAlive(qemu, files, session.connect)
    const identity = await identifyProcess(qemu.pid)
    // Whoever lost a race for the run directory must not take the winner's socket for its own.
    const owner = Number((await readFile(files.pid, 'utf8')).trim())
    if (identity === undefined || owner !== qemu.pid) throw alreadyInUse(runDirectory)
    return { process: qemu, identity, session }
  } catch (error) {
    session.close()
    await endQemu(qemu)
    endTpm?.()
    throw error
  }
}

/** Only this process, not the cgroup: the winner of a race for the run directory may live in it. */
export async function endQemu(qemu: QemuProcess, timeoutMs = killTimeoutMs): Promise<void> {
  try {
    process.kill(qemu.pid, 'SIGKILL')
  } catch {
    // It has ended already.
  }
  if (!(await settlesWithin(qemu.ended, timeoutMs)))
    throw new DialtoneError('deadline-exceeded', `QEMU (pid ${qemu.pid}) is not reaped ${timeoutMs} ms after SIGKILL`)
}

export function alreadyInUse(runDirectory: string): DialtoneError {
  return new DialtoneError('hypervisor-failed', `a machine lives in ${runDirectory} already`)
}

/** A machine shares its cgroup with nothing, and its taps exist: QEMU would make one of that name, connected to nothing. */
export async function requirePlace({ cgroupDirectory, ...shape }: MachineShape): Promise<void> {
  if (!(await isCgroupEmpty(cgroupDirectory))) {
    throw new DialtoneError('hypervisor-failed', `${cgroupDirectory} has processes of another life in it`)
  }
  const interfaces = await readFile('/proc/self/net/dev', 'utf8')
  for (const { tapName } of [shape, ...(shape.moreCards ?? [])]) {
    if (!interfaces.split('\n').some((line) => line.trimStart().startsWith(`${tapName}:`)))
      throw new DialtoneError('network-failed', `the tap ${tapName} does not exist`)
  }
}

async function requireFreeDirectory(runDirectory: string, files: RunFiles): Promise<void> {
  if (Buffer.byteLength(files.consoleLog) > maximumSocketPathBytes) {
    throw new DialtoneError('machine-setup', `${runDirectory} is too long a path for the sockets of a machine`)
  }
  const record = await readMachineRecord(files.record)
  if (record !== undefined && (await isProcessAlive(record.process))) throw alreadyInUse(runDirectory)
}

/** QEMU listens some time after its start; when it ends instead, its last words are the error. */
async function connectWhileAlive(
  qemu: QemuProcess,
  files: RunFiles,
  connect: (timeoutMs: number) => Promise<void>,
): Promise<void> {
  const givesUpAt = performance.now() + startTimeoutMs
  let hasEnded = false
  const ended = qemu.ended.then(() => {
    hasEnded = true
  })
  while (performance.now() < givesUpAt) {
    try {
      return await connect(givesUpAt - performance.now())
    } catch {
      // Not listening yet; or never, which the end of the process tells.
    }
    if (hasEnded)
      throw new DialtoneError('hypervisor-failed', `QEMU ended at its start: ${await lastLogLines(files.log, 3)}`)
    await Promise.race([ended, delay(connectRetryMs)])
  }
  throw new DialtoneError('deadline-exceeded', `QEMU did not answer within ${startTimeoutMs} ms of its start`)
}
