/** One living QEMU, seen through its QMP line, its process and its cgroup. The same for machines started here and for adopted ones. */
import type { Duplex } from 'node:stream'
import { killCgroupAndWait } from '../../../linux/cgroup.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { MachineLife } from '../../../model/machine-order.ts'
import type { MachineEvent, MachineExit, MachineState, RunningMachine } from '../hypervisor.ts'
import { openConsoleStream } from './console-stream.ts'
import { boundLog, lastLogLines, type ProcessEnding, settlesWithin } from './qemu-process.ts'
import type { QmpEvent } from './qmp-client.ts'
import { createQmpSession, type QmpSession } from './qmp-session.ts'
import type { QmpCommands } from './qmp-types.ts'
import type { RunFiles } from './run-files.ts'

/** An ordinary answer takes a millisecond; a host under pressure gets this long. */
const commandTimeoutMs = 5000
/** `stop` waits for the writes in flight, which is as long as the storage takes. */
const pauseTimeoutMs = 20_000
/** After the death of the process its last events are still in the socket; they are read within this time. */
const lastEventsTimeoutMs = 200
const logCheckIntervalMs = 5000

export type MachineParts = {
  readonly life: MachineLife
  readonly pid: number
  readonly files: RunFiles
  readonly cgroupDirectory: string
  /** Resolves when the process is gone: its files are closed. The session ends when QEMU closes its end, which may be a bit earlier. */
  readonly watchEnd: (session: QmpSession, detached: AbortSignal) => Promise<ProcessEnding>
}

/** Lets the machine be used. Does not connect by itself: `session.connect` does, so that the caller says how long that may take. */
export function createQemuMachine(parts: MachineParts): { machine: RunningMachine; session: QmpSession } {
  const listeners = new Set<(event: MachineEvent) => void>()
  const seen = createEventMemory((event) => {
    for (const listener of listeners) listener(event)
  })
  const session = createQmpSession({ paths: parts.files.qmp, onEvent: seen.onEvent })
  const detached = new AbortController()
  let isKillAsked = false
  let openedConsole: Duplex | undefined

  const logTimer = setInterval(() => {
    for (const path of [parts.files.log, parts.files.consoleLog]) boundLog(path).catch(() => undefined)
  }, logCheckIntervalMs)
  logTimer.unref()
  const endWatches = () => {
    clearInterval(logTimer)
    openedConsole?.destroy()
    session.close()
  }

  const exited = parts.watchEnd(session, detached.signal).then(async (ending): Promise<MachineExit> => {
    await settlesWithin(session.disconnected(), lastEventsTimeoutMs)
    endWatches()
    return describeExit(ending, {
      isKillAsked,
      wasShutDownByGuest: seen.wasShutDownByGuest(),
      log: await lastLogLines(parts.files.log, 1),
    })
  })
  const machine: RunningMachine = {
    life: parts.life,
    pid: parts.pid,
    exited,
    state: async () => stateOf(await session.execute('query-status', {}, commandTimeoutMs)),
    resume: async () => {
      await session.execute('cont', {}, commandTimeoutMs)
    },
    pause: async () => {
      await session.execute('stop', {}, pauseTimeoutMs)
    },
    pressPowerButton: async () => {
      await session.execute('system_powerdown', {}, commandTimeoutMs)
    },
    reset: async () => {
      await session.execute('system_reset', {}, commandTimeoutMs)
    },
    kill: async (deadlineMs) => {
      isKillAsked = true
      await killAndReap(parts, exited, deadlineMs)
    },
    openConsole: async () => {
      openedConsole?.destroy()
      openedConsole = await openConsoleStream(parts.files.console, commandTimeoutMs)
      return openedConsole
    },
    onEvent: (listener) => {
      listeners.add(listener)
    },
    detach: () => {
      detached.abort()
      listeners.clear()
      endWatches()
    },
  }
  return { machine, session }
}

async function killAndReap(parts: MachineParts, exited: Promise<MachineExit>, deadlineMs: number): Promise<void> {
  const startedAt = performance.now()
  await killCgroupAndWait(parts.cgroupDirectory, deadlineMs)
  const leftMs = Math.max(deadlineMs - (performance.now() - startedAt), 1)
  if (await settlesWithin(exited, leftMs)) return
  throw new DialtoneError('deadline-exceeded', `QEMU (pid ${parts.pid}) is not reaped ${deadlineMs} ms after SIGKILL`)
}

type EventMemory = { readonly onEvent: (event: QmpEvent) => void; readonly wasShutDownByGuest: () => boolean }

/** Turns QEMU's events into the machine's, and remembers what explains an exit. */
function createEventMemory(tell: (event: MachineEvent) => void): EventMemory {
  let isStorageAtFault = false
  let wasShutDownByGuest = false
  const onEvent = (event: QmpEvent): void => {
    switch (event.event) {
      case 'BLOCK_IO_ERROR':
        // The STOP that follows does not say why.
        isStorageAtFault ||= event.data.action === 'stop'
        return
      case 'STOP':
        return tell({ kind: 'state', state: isStorageAtFault ? 'io-error' : 'paused' })
      case 'RESUME':
        isStorageAtFault = false
        return tell({ kind: 'state', state: 'running' })
      case 'SHUTDOWN':
        wasShutDownByGuest = event.data.reason === 'guest-shutdown'
        return tell({ kind: 'state', state: 'shutdown' })
      case 'RESET':
        return event.data.guest ? tell({ kind: 'guest-reset' }) : undefined
      case 'GUEST_PANICKED':
        return tell({ kind: 'guest-panicked' })
      default:
        // What QEMU tells of its disks and devices says nothing about the state of the machine.
        break
    }
  }
  return { onEvent, wasShutDownByGuest: () => wasShutDownByGuest }
}

function stateOf({ status }: QmpCommands['query-status']['returns']): MachineState {
  switch (status) {
    case 'running':
    case 'io-error':
    case 'shutdown':
      return status
    default:
      return 'paused'
  }
}

type ExitCircumstances = { readonly isKillAsked: boolean; readonly wasShutDownByGuest: boolean; readonly log: string }

function describeExit(ending: ProcessEnding, circumstances: ExitCircumstances): MachineExit {
  if (circumstances.wasShutDownByGuest) return { reason: 'guest-shutdown', detail: 'the guest powered itself off' }
  if (circumstances.isKillAsked) return { reason: 'killed', detail: 'killed on demand' }
  const how =
    ending.signal !== undefined
      ? `ended by ${ending.signal}`
      : ending.code !== undefined
        ? `exit ${ending.code}`
        : 'ended'
  return { reason: 'crashed', detail: circumstances.log === '' ? `QEMU ${how}` : `QEMU ${how}: ${circumstances.log}` }
}
