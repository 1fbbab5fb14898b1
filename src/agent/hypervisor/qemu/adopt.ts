/** Finds the machine that an earlier agent left in a run directory, without trusting anything that a reused process id could fake. */
import { setTimeout as delay } from 'node:timers/promises'
import { isCgroupEmpty, killCgroupAndWait } from '../../../linux/cgroup.ts'
import type { RunningMachine } from '../hypervisor.ts'
import { isProcessAlive, type ProcessIdentity, readMachineRecord } from './process-identity.ts'
import { createQemuMachine, type MachineParts } from './qemu-machine.ts'
import type { ProcessEnding } from './qemu-process.ts'
import { createQmpSession, type QmpSession } from './qmp-session.ts'
import { runFiles } from './run-files.ts'

const connectTimeoutMs = 2000
const killTimeoutMs = 5000
/** Between two looks at /proc while QMP is connected, whose end of file tells of a death at once. */
const calmIntervalMs = 1000
/** While it is not connected, and so cannot tell. */
const deafIntervalMs = 50
/** Between the end of file and the moment when the process is gone. */
const dyingIntervalMs = 2
const dyingMs = 1000

export type MachinePlace = Pick<MachineParts, 'runDirectory' | 'cgroupDirectory' | 'fileLocking'>

/**
 * The living machine of this run directory, also when its QEMU does not answer at the moment: `kill` and `exited` work then as well.
 * Undefined when none lives: what a start that broke off, or a dead machine, left in the cgroup has been killed by then.
 */
export async function adoptMachine(place: MachinePlace): Promise<RunningMachine | undefined> {
  const { runDirectory, cgroupDirectory } = place
  const files = runFiles(runDirectory)
  const record = await readMachineRecord(files.record)
  if (record === undefined || !(await isProcessAlive(record.process))) {
    if (!(await isCgroupEmpty(cgroupDirectory))) await killCgroupAndWait(cgroupDirectory, killTimeoutMs)
    return undefined
  }
  const session = createQmpSession(files.qmp)
  const machine = createQemuMachine({
    life: record.life,
    pid: record.process.pid,
    ...place,
    session,
    watchEnd: (line, detached) => watchProcess(record.process, line, detached),
  })
  await session.connect(connectTimeoutMs).catch(() => undefined)
  return machine
}

/** Not a child of ours, so no exit code: the end of QMP wakes us, /proc says when it is really gone. */
async function watchProcess(
  identity: ProcessIdentity,
  session: QmpSession,
  detached: AbortSignal,
): Promise<ProcessEnding> {
  let dyingSince: number | undefined
  while (await isProcessAlive(identity)) {
    if (detached.aborted) return new Promise(() => undefined)
    if (session.isConnected()) {
      dyingSince = undefined
      const woken = new AbortController()
      const pause = delay(calmIntervalMs, undefined, { signal: woken.signal, ref: false }).catch(() => undefined)
      await Promise.race([session.disconnected(), pause])
      woken.abort()
    } else {
      dyingSince ??= performance.now()
      const isFresh = performance.now() - dyingSince < dyingMs
      await delay(isFresh ? dyingIntervalMs : deafIntervalMs, undefined, { ref: false })
    }
  }
  return { code: undefined, signal: undefined }
}
