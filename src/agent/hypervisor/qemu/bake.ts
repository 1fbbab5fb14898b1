/**
 * Makes an image that can be mapped from a captured stream: a paused machine of the same shape has its memory in a file, loads the stream
 * into it, and writes the state of its devices, without the memory, to another one.
 */
import { rm } from 'node:fs/promises'
import { runCommand } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { MachineShape, MemoryImageFiles } from '../hypervisor.ts'
import { endQemu, type LaunchOptions, launchQemu } from './launch-qemu.ts'
import {
  loadIncoming,
  openImageFile,
  prepareMigration,
  receiveStream,
  waitForMigration,
  writeNewFile,
} from './migration.ts'
import { plugAll } from './plug-all.ts'
import type { QmpLine } from './qmp-session.ts'
import { runFiles } from './run-files.ts'

const commandTimeoutMs = 5000
const loadTimeoutMs = 30 * 60_000
const saveTimeoutMs = 30_000

export type BakeRequest = { readonly streamPath: string; readonly into: MemoryImageFiles }

/** Returns when both files are whole and durable; on failure neither is there. The process dies with the shape's cgroup. */
export async function bakeImage(
  shape: MachineShape,
  { streamPath, into }: BakeRequest,
  options: Pick<LaunchOptions, 'binary' | 'fileLocking'>,
): Promise<void> {
  await writeNewFile(into.memory, async () => {
    try {
      await loadAndSave(shape, { streamPath, into }, options)
      // Loading reads each empty page, to see that it is empty, which makes a RAM-backed file system give it a page.
      await runCommand('fallocate', ['--dig-holes', into.memory], {
        timeoutMs: loadTimeoutMs,
        cgroupDirectory: shape.cgroupDirectory,
        errorCode: 'hypervisor-failed',
      })
    } catch (error) {
      await rm(into.state, { force: true })
      throw error
    }
  })
}

async function loadAndSave(
  shape: MachineShape,
  { streamPath, into }: BakeRequest,
  options: Pick<LaunchOptions, 'binary' | 'fileLocking'>,
): Promise<void> {
  const stream = await openImageFile(streamPath)
  try {
    const memory = { path: into.memory, isWritten: true }
    const launch = { ...options, memory, isIncoming: true, inherited: stream.fd, isCutOff: true }
    const { process, session } = await launchQemu(shape, launch)
    try {
      await plugAll(session, shape, options.fileLocking)
      await prepareMigration(session, [])
      await loadIncoming(session, { logPath: runFiles(shape.runDirectory).log, timeoutMs: loadTimeoutMs })
      await writeNewFile(into.state, (fileDescriptor) => saveDevices(session, shape, fileDescriptor))
    } finally {
      session.close()
      await endQemu(process)
    }
  } finally {
    await stream.close()
  }
}

async function saveDevices(line: QmpLine, shape: MachineShape, fileDescriptor: number): Promise<void> {
  await prepareMigration(line, ['x-ignore-shared'])
  const receiver = await receiveStream(shape, fileDescriptor)
  try {
    await line.execute('migrate', { uri: receiver.uri }, commandTimeoutMs)
    const status = await waitForMigration(line, ['completed', 'failed', 'cancelled'], saveTimeoutMs)
    if (status !== 'completed')
      throw new DialtoneError('hypervisor-failed', "the machine's devices could not be written")
    await receiver.received
  } finally {
    await receiver.close()
  }
}
