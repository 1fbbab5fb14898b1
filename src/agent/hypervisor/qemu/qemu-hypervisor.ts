/** Machines on the installed QEMU. Construct it in a `main.ts` only. */

import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { Logger } from '../../../model/logger.ts'
import type { Hypervisor, HypervisorFacts, MachineDefinition, RunningMachine } from '../hypervisor.ts'
import { adoptMachine } from './adopt.ts'
import { bakeImage } from './bake.ts'
import { readHypervisorFacts } from './hypervisor-facts.ts'
import { alreadyInUse, endQemu, type LaunchOptions, launchQemu, requirePlace } from './launch-qemu.ts'
import { writeMachineRecord } from './process-identity.ts'
import { createQemuMachine } from './qemu-machine.ts'
import { receiveMachine } from './receive-machine.ts'
import { runFiles } from './run-files.ts'
import { digestShape } from './shape-digest.ts'
import { prepareSpare } from './spare.ts'

export type QemuHypervisorOptions = {
  readonly binary?: string
  /** QEMU's own lock on each image; on unless a test of the protection wants to see two writers. */
  readonly fileLocking?: boolean
  /** Where the accelerator probe's result is kept. Exists. */
  readonly cacheDirectory: string
  readonly logger?: Logger
}

export function createQemuHypervisor(options: QemuHypervisorOptions): Hypervisor {
  const { logger } = options
  const how = { binary: options.binary ?? 'qemu-system-x86_64', fileLocking: options.fileLocking ?? true }
  const busy = new Set<string>()
  let facts: Promise<HypervisorFacts> | undefined
  /** Says how long it took, and lets nothing else begin in the same run directory. */
  const inDirectory = async <T>(
    runDirectory: string,
    work: () => Promise<T>,
  ): Promise<{ result: T; tookMs: number }> => {
    if (busy.has(runDirectory)) throw alreadyInUse(runDirectory)
    busy.add(runDirectory)
    try {
      const startedAt = performance.now()
      const result = await work()
      return { result, tookMs: Math.round(performance.now() - startedAt) }
    } finally {
      busy.delete(runDirectory)
    }
  }

  return {
    facts: () => {
      facts ??= readHypervisorFacts(how.binary, options.cacheDirectory).catch((error: unknown) => {
        facts = undefined
        throw error
      })
      return facts
    },
    start: async (definition) => {
      const { name, life, runDirectory } = definition
      const { result, tookMs } = await inDirectory(runDirectory, () => startMachine(definition, how))
      logger?.info('qemu.started-paused', { ...life, name, pid: result.pid, startMs: tookMs })
      return result
    },
    adopt: async (runDirectory, cgroupDirectory) => {
      const machine = await adoptMachine({ runDirectory, cgroupDirectory, fileLocking: how.fileLocking })
      if (machine !== undefined) logger?.info('qemu.adopted', { ...machine.life, pid: machine.pid })
      return machine
    },
    shapeOf: digestShape,
    prepare: async (shape, image, { warmUpMs = 0, warmUpRequest } = {}) => {
      const { vmId, name, runDirectory } = shape
      const { result, tookMs } = await inDirectory(runDirectory, () =>
        prepareSpare(shape, { image, warmUpMs, warmUpRequest }, how),
      )
      logger?.info('qemu.spare-prepared', { vmId, name, pid: result.pid, tookMs })
      return result
    },
    bake: async (shape, streamPath, into) => {
      const { vmId, name, runDirectory } = shape
      const { tookMs } = await inDirectory(runDirectory, () => bakeImage(shape, { streamPath, into }, how))
      logger?.info('qemu.image-baked', { vmId, name, tookMs })
    },
    receive: async (definition, disks) => {
      const { name, life, runDirectory } = definition
      const { result, tookMs } = await inDirectory(runDirectory, () => receiveMachine(definition, disks, how))
      logger?.info('qemu.receives', { ...life, name, pid: result.machine.pid, startMs: tookMs })
      return result
    },
  }
}

async function startMachine(
  definition: MachineDefinition,
  how: Pick<LaunchOptions, 'binary' | 'fileLocking'>,
): Promise<RunningMachine> {
  const { runDirectory, cgroupDirectory, life } = definition
  await requirePlace(definition)
  const { process, identity, session } = await launchQemu(definition, how)
  try {
    await writeMachineRecord(runFiles(runDirectory).record, { life, process: identity })
  } catch (error) {
    session.close()
    await endQemu(process)
    throw new DialtoneError('hypervisor-failed', `${runDirectory} cannot be written`, { cause: error })
  }
  const place = { runDirectory, cgroupDirectory, fileLocking: how.fileLocking }
  return createQemuMachine({ life, pid: process.pid, ...place, session, watchEnd: () => process.ended })
}
