/** A QEMU that waits for another one's memory and devices, on a socket that it was born with: no path, no port, nobody else. */
import { setTimeout as delay } from 'node:timers/promises'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { IncomingMachine, MachineDefinition, ReceivedDisks } from '../hypervisor.ts'
import { endQemu, type LaunchedQemu, type LaunchOptions, launchQemu, requirePlace } from './launch-qemu.ts'
import { incomingFileDescriptor, prepareMigration, waitForMigration } from './migration.ts'
import { plugAll } from './plug-all.ts'
import { writeMachineRecord } from './process-identity.ts'
import { createQemuMachine } from './qemu-machine.ts'
import { lastLogLines } from './qemu-process.ts'
import type { QmpLine } from './qmp-session.ts'
import { closeForCopies, connectToCopies, openForCopies } from './receive-copies.ts'
import { runFiles } from './run-files.ts'

/** After the last byte has come, that it has all; on a busy machine it answers late. */
const saysSoWithinMs = 10_000
const commandTimeoutMs = 5000
/** Whoever moves a machine has a bound of their own. */
const longestMs = 24 * 3_600_000
const devicesLoadWithinMs = 5_000
const lookAgainMs = 3

export async function receiveMachine(
  definition: MachineDefinition,
  { plugged, copied }: ReceivedDisks,
  how: Pick<LaunchOptions, 'binary' | 'fileLocking'>,
): Promise<IncomingMachine> {
  const { runDirectory, cgroupDirectory, life } = definition
  await requirePlace(definition)
  const qemu = await launchQemu(definition, { ...how, isIncoming: true, inherited: 'stream' })
  try {
    const { stream } = qemu.process
    if (stream === undefined) throw new DialtoneError('hypervisor-failed', 'QEMU was born without its stream')
    await plugAll(qemu.session, { ...definition, plugged }, how.fileLocking)
    if (copied.length > 0) await openForCopies(qemu.session, definition, copied)
    const canPostCopy = await prepare(qemu.session)
    await qemu.session.execute('migrate-incoming', { uri: `fd:${incomingFileDescriptor}` }, commandTimeoutMs)
    await writeMachineRecord(runFiles(runDirectory).record, { life, process: qemu.identity })
    const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()))
    const resumed = Promise.withResolvers<number>()
    qemu.session.listen(({ event, atMs }) => {
      if (event === 'RESUME') resumed.resolve(atMs)
    })
    const loaded = waitUntilLoaded(qemu, runDirectory).then(() =>
      copied.length > 0 ? closeForCopies(qemu.session) : undefined,
    )
    loaded.catch(() => stream.destroy())
    const whole = loaded.then(() => waitUntilWhole(qemu, closed))
    whole.catch(() => undefined)
    const machine = createQemuMachine({
      life,
      pid: qemu.process.pid,
      runDirectory,
      cgroupDirectory,
      fileLocking: how.fileLocking,
      session: qemu.session,
      isNewHere: true,
      watchEnd: () => qemu.process.ended,
    })
    return {
      machine,
      stream,
      diskStream: () => connectToCopies(runDirectory),
      canPostCopy,
      loaded,
      whole,
      resumedAtMs: resumed.promise,
    }
  } catch (error) {
    qemu.session.close()
    await endQemu(qemu.process)
    throw error
  }
}

/** Whether it can take pages while it runs: QEMU refuses what the kernel does not let it do. */
async function prepare(line: QmpLine): Promise<boolean> {
  const always = ['return-path', 'late-block-activate'] as const
  try {
    await prepareMigration(line, [...always, 'postcopy-ram'])
    return true
  } catch (error) {
    if (!(error instanceof DialtoneError) || error.code !== 'hypervisor-failed') throw error
    await prepareMigration(line, always)
    return false
  }
}

async function waitUntilLoaded({ process, session }: LaunchedQemu, runDirectory: string): Promise<void> {
  const ended = process.ended.then(async () => {
    const words = await lastLogLines(runFiles(runDirectory).log, 2)
    throw new DialtoneError('hypervisor-failed', `QEMU ended while it received the machine: ${words}`)
  })
  ended.catch(() => undefined)
  const awaited = ['completed', 'failed', 'postcopy-active', 'postcopy-paused'] as const
  const status = await Promise.race([waitForMigration(session, awaited, longestMs), ended])
  if (status === 'completed') return
  if (status !== 'postcopy-active') throw brokenOff()
  await Promise.race([untilDevicesAreLoaded(session), ended])
}

/** Pages are taken in from before its devices are: only then it leaves the state in which it waits for a machine. */
async function untilDevicesAreLoaded(line: QmpLine): Promise<void> {
  const givesUpAt = performance.now() + devicesLoadWithinMs
  while (performance.now() < givesUpAt) {
    const { status } = await line.execute('query-status', {}, commandTimeoutMs)
    if (status !== 'inmigrate') return
    await delay(lookAgainMs)
  }
  throw brokenOff()
}

/** One that needs a page that never comes may need it where it answers its monitor: then the end of its stream has to do. */
async function waitUntilWhole({ process, session }: LaunchedQemu, closed: Promise<void>): Promise<void> {
  const ended = process.ended.then(() => 'failed' as const)
  const isMute = closed.then(() => delay(saysSoWithinMs, 'failed' as const, { ref: false }))
  const awaited = ['completed', 'failed', 'postcopy-paused'] as const
  const status = await Promise.race([waitForMigration(session, awaited, longestMs), ended, isMute])
  if (status !== 'completed') throw brokenOff()
}

function brokenOff(): DialtoneError {
  return new DialtoneError('hypervisor-failed', 'the stream of the machine broke off before it was whole')
}
