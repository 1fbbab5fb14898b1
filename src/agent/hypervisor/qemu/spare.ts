/** A process that waits to become a machine: everything is loaded, the memory is mapped, and only `cont` is left to say. */
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { runCommand } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { guestMemoryKiB } from '../../../model/hardware.ts'
import type { MachineShape, MemoryImageFiles, RunningMachine, SpareMachine } from '../hypervisor.ts'
import type { ResidentRequest } from '../resident-protocol.ts'
import { endQemu, type LaunchedQemu, type LaunchOptions, launchQemu, requirePlace } from './launch-qemu.ts'
import { loadIncoming, openImageFile, prepareMigration } from './migration.ts'
import { plugAll } from './plug-all.ts'
import { writeMachineRecord } from './process-identity.ts'
import { createQemuMachine } from './qemu-machine.ts'
import type { QmpLine } from './qmp-session.ts'
import { createResidentChannel } from './resident-channel.ts'
import { runFiles } from './run-files.ts'

const commandTimeoutMs = 5000
const loadTimeoutMs = 20_000
/** Stopped in the middle of its answers, a guest would go on with them when it takes over. */
const warmUpAnswerWithinMs = 5_000

type How = Pick<LaunchOptions, 'binary' | 'fileLocking'>

/** See the port. */
export async function prepareSpare(
  shape: MachineShape,
  from: {
    readonly image: MemoryImageFiles
    readonly warmUpMs: number
    readonly warmUpRequest: ResidentRequest | undefined
  },
  how: How,
): Promise<SpareMachine> {
  await requirePlace(shape)
  if (from.warmUpMs > 0) for (const { tapName } of [shape, ...(shape.moreCards ?? [])]) await requireUnheard(tapName)
  await requireWhole(from.image, shape)
  const state = await openImageFile(from.image.state)
  try {
    const memory = { path: from.image.memory, isWritten: false }
    const qemu = await launchQemu(shape, { ...how, memory, isIncoming: true, inherited: state.fd })
    try {
      await plugAll(qemu.session, shape, how.fileLocking)
      await prepareMigration(qemu.session, ['x-ignore-shared'])
      await loadIncoming(qemu.session, { logPath: runFiles(shape.runDirectory).log, timeoutMs: loadTimeoutMs })
      if (from.warmUpMs > 0)
        await warmUp(qemu.session, { ...from, residentPath: runFiles(shape.runDirectory).resident })
    } catch (error) {
      qemu.session.close()
      await endQemu(qemu.process)
      throw error
    }
    return toSpare(shape, qemu, how)
  } finally {
    await state.close()
  }
}

/** A memory file that is too short would be made longer by QEMU. */
async function requireWhole({ memory }: MemoryImageFiles, { memoryMiB, hardware }: MachineShape): Promise<void> {
  const wanted = guestMemoryKiB(memoryMiB, hardware.accelerator) * 1024
  const size = (await stat(memory).catch(() => undefined))?.size
  if (size !== wanted)
    throw new DialtoneError('image-corrupt', `${memory} has ${size ?? 'no'} bytes instead of ${wanted}`)
}

const linksSchema = z.tuple([z.object({ master: z.string().optional(), flags: z.array(z.string()) })])

/** The live machine has the same addresses: two of them on one network would be heard. */
async function requireUnheard(tapName: string): Promise<void> {
  const text = await runCommand('ip', ['-json', 'link', 'show', 'dev', tapName], {
    timeoutMs: commandTimeoutMs,
    errorCode: 'network-failed',
  })
  const [{ master, flags }] = linksSchema.parse(JSON.parse(text))
  if (master !== undefined && flags.includes('UP'))
    throw new DialtoneError(
      'network-failed',
      `the tap ${tapName} is connected to ${master}: a guest that warms up on it would be heard`,
    )
}

/** The pages that the guest touches are its own afterwards, and its code is translated: that of its idleness, and of its service. */
async function warmUp(
  line: QmpLine,
  how: {
    readonly warmUpMs: number
    readonly warmUpRequest: ResidentRequest | undefined
    readonly residentPath: string
  },
): Promise<void> {
  const resident = createResidentChannel(how.residentPath)
  await line.execute('cont', {}, commandTimeoutMs)
  const asked = how.warmUpRequest === undefined ? undefined : resident.ask(how.warmUpRequest, warmUpAnswerWithinMs)
  // A guest that can't answer loses only the gain.
  await Promise.all([delay(how.warmUpMs), asked?.catch(() => undefined)])
  resident.close()
  await line.execute('stop', {}, commandTimeoutMs)
  const { status } = await line.execute('query-status', {}, commandTimeoutMs)
  if (status !== 'paused')
    throw new DialtoneError('image-unfit', `the guest did not go on from its image: it is ${status}`)
}

function toSpare(
  shape: MachineShape,
  { process: qemu, identity, session }: LaunchedQemu,
  { fileLocking }: How,
): SpareMachine {
  let isKillAsked = false
  return {
    pid: qemu.pid,
    exited: qemu.ended.then(() =>
      isKillAsked
        ? { reason: 'killed', detail: 'killed on demand' }
        : { reason: 'crashed', detail: 'the waiting process ended' },
    ),
    takeOver: async (life, cgroupDirectory): Promise<RunningMachine> => {
      const { runDirectory } = shape
      const files = runFiles(runDirectory)
      if (cgroupDirectory !== shape.cgroupDirectory)
        await writeFile(join(cgroupDirectory, 'cgroup.procs'), String(qemu.pid))
      await writeMachineRecord(files.record, { life, process: identity })
      const place = { runDirectory, cgroupDirectory, fileLocking }
      return createQemuMachine({ life, pid: qemu.pid, ...place, session, isNewHere: true, watchEnd: () => qemu.ended })
    },
    kill: async (deadlineMs) => {
      isKillAsked = true
      await endQemu(qemu, deadlineMs)
    },
    detach: () => session.close(),
  }
}
