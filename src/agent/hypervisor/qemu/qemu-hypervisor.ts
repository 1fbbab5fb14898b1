/** Machines on the installed QEMU. Construct it in a `main.ts` only. */

import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { isCgroupEmpty } from '../../../linux/cgroup.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { Logger } from '../../../model/logger.ts'
import type { Hypervisor, HypervisorFacts, MachineDefinition, RunningMachine } from '../hypervisor.ts'
import { adoptMachine } from './adopt.ts'
import { buildCommandLine } from './command-line.ts'
import { readHypervisorFacts } from './hypervisor-facts.ts'
import { identifyProcess, isProcessAlive, readMachineRecord, writeMachineRecord } from './process-identity.ts'
import { createQemuMachine } from './qemu-machine.ts'
import { lastLogLines, type QemuProcess, settlesWithin, startQemuProcess } from './qemu-process.ts'
import { maximumSocketPathBytes, type RunFiles, runFiles } from './run-files.ts'

export type QemuHypervisorOptions = {
  readonly binary?: string
  /** QEMU's own lock on each image; on unless a test of the protection wants to see two writers. */
  readonly fileLocking?: boolean
  /** Where the accelerator probe's result is kept. Exists. */
  readonly cacheDirectory: string
  readonly logger?: Logger
}

/** From the start of the process to its first answer: 0.1 s on a calm machine. */
const startTimeoutMs = 15_000
const connectRetryMs = 4
const killTimeoutMs = 5000

export function createQemuHypervisor(options: QemuHypervisorOptions): Hypervisor {
  const binary = options.binary ?? 'qemu-system-x86_64'
  const starting = new Set<string>()
  let facts: Promise<HypervisorFacts> | undefined

  return {
    facts: () => {
      facts ??= readHypervisorFacts(binary, options.cacheDirectory).catch((error: unknown) => {
        facts = undefined
        throw error
      })
      return facts
    },
    start: async (definition) => {
      const { runDirectory, life } = definition
      if (starting.has(runDirectory)) throw alreadyInUse(runDirectory)
      starting.add(runDirectory)
      try {
        const startedAt = performance.now()
        const machine = await startMachine(definition, binary, options.fileLocking ?? true)
        const startMs = Math.round(performance.now() - startedAt)
        options.logger?.info('qemu.started-paused', { ...life, name: definition.name, pid: machine.pid, startMs })
        return machine
      } finally {
        starting.delete(runDirectory)
      }
    },
    adopt: async (runDirectory, cgroupDirectory) => {
      const machine = await adoptMachine(runDirectory, cgroupDirectory)
      if (machine !== undefined) options.logger?.info('qemu.adopted', { ...machine.life, pid: machine.pid })
      return machine
    },
  }
}

async function startMachine(
  definition: MachineDefinition,
  binary: string,
  fileLocking: boolean,
): Promise<RunningMachine> {
  const { runDirectory, cgroupDirectory, life } = definition
  const files = runFiles(runDirectory)
  await refuseUnlessFree(definition, files)
  const args = buildCommandLine(definition, { fileLocking })
  const qemu = await startQemuProcess({ binary, args, cgroupDirectory, runDirectory, logPath: files.log })
  const { machine, session } = createQemuMachine({
    life,
    pid: qemu.pid,
    files,
    cgroupDirectory,
    watchEnd: () => qemu.ended,
  })
  try {
    await connectWhileAlive(qemu, files, session.connect)
    const identity = await identifyProcess(qemu.pid)
    // Whoever lost a race for the run directory must not take the winner's socket for its own.
    const owner = Number((await readFile(files.pid, 'utf8')).trim())
    if (identity === undefined || owner !== qemu.pid) throw alreadyInUse(runDirectory)
    await writeMachineRecord(files.record, { life, process: identity })
    return machine
  } catch (error) {
    await discard(machine, qemu)
    throw error
  }
}

async function refuseUnlessFree(definition: MachineDefinition, files: RunFiles): Promise<void> {
  const { runDirectory, cgroupDirectory, tapName } = definition
  if (Buffer.byteLength(files.console) > maximumSocketPathBytes) {
    throw new DialtoneError('machine-setup', `${runDirectory} is too long a path for the sockets of a machine`)
  }
  const record = await readMachineRecord(files.record)
  if (record !== undefined && (await isProcessAlive(record.process))) throw alreadyInUse(runDirectory)
  if (!(await isCgroupEmpty(cgroupDirectory))) {
    throw new DialtoneError('hypervisor-failed', `${cgroupDirectory} has processes of another life in it`)
  }
  // QEMU would make a tap of that name, connected to nothing.
  const interfaces = await readFile('/proc/self/net/dev', 'utf8')
  if (!interfaces.split('\n').some((line) => line.trimStart().startsWith(`${tapName}:`))) {
    throw new DialtoneError('network-failed', `the tap ${tapName} does not exist`)
  }
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

/** Only this process, not the cgroup: the winner of a race for the run directory may live in it. */
async function discard(machine: RunningMachine, qemu: QemuProcess): Promise<void> {
  machine.detach()
  try {
    process.kill(qemu.pid, 'SIGKILL')
  } catch {
    // It has ended already.
  }
  if (!(await settlesWithin(qemu.ended, killTimeoutMs)))
    throw new DialtoneError('deadline-exceeded', `QEMU (pid ${qemu.pid}) failed to start and does not die either`)
}

function alreadyInUse(runDirectory: string): DialtoneError {
  return new DialtoneError('hypervisor-failed', `a machine lives in ${runDirectory} already`)
}
