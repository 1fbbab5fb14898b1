/** A QEMU that waits for another one's memory and devices, on a socket that it was born with: no path, no port, nobody else. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { IncomingMachine, MachineDefinition, ReceivedDisks } from '../hypervisor.ts'
import { attachDisk } from './hot-plug.ts'
import { endQemu, type LaunchedQemu, type LaunchOptions, launchQemu, requirePlace } from './launch-qemu.ts'
import { incomingFileDescriptor, prepareMigration, waitForMigration } from './migration.ts'
import { writeMachineRecord } from './process-identity.ts'
import { createQemuMachine } from './qemu-machine.ts'
import { lastLogLines } from './qemu-process.ts'
import { closeForCopies, connectToCopies, openForCopies } from './receive-copies.ts'
import { runFiles } from './run-files.ts'

const commandTimeoutMs = 5000
/** Whoever moves a machine has a bound of their own. */
const longestMs = 24 * 3_600_000

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
    for (const disk of plugged) await attachDisk(qemu.session, disk, how.fileLocking)
    if (copied.length > 0) await openForCopies(qemu.session, definition, copied)
    await prepareMigration(qemu.session, ['return-path', 'late-block-activate'])
    await qemu.session.execute('migrate-incoming', { uri: `fd:${incomingFileDescriptor}` }, commandTimeoutMs)
    await writeMachineRecord(runFiles(runDirectory).record, { life, process: qemu.identity })
    const resumed = Promise.withResolvers<number>()
    qemu.session.listen(({ event, atMs }) => {
      if (event === 'RESUME') resumed.resolve(atMs)
    })
    const loaded = waitUntilLoaded(qemu, runDirectory).then(() =>
      copied.length > 0 ? closeForCopies(qemu.session) : undefined,
    )
    loaded.catch(() => stream.destroy())
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
      loaded,
      resumedAtMs: resumed.promise,
    }
  } catch (error) {
    qemu.session.close()
    await endQemu(qemu.process)
    throw error
  }
}

async function waitUntilLoaded({ process, session }: LaunchedQemu, runDirectory: string): Promise<void> {
  const ended = process.ended.then(async () => {
    const words = await lastLogLines(runFiles(runDirectory).log, 2)
    throw new DialtoneError('hypervisor-failed', `QEMU ended while it received the machine: ${words}`)
  })
  ended.catch(() => undefined)
  const status = await Promise.race([waitForMigration(session, ['completed', 'failed'], longestMs), ended])
  if (status !== 'completed')
    throw new DialtoneError('hypervisor-failed', 'the stream of the machine broke off before it was whole')
}
