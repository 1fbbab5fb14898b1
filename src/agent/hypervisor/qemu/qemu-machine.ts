/** One living QEMU, seen through its QMP line, its process and its cgroup. The same for machines started here and for adopted ones. */
import type { Duplex } from 'node:stream'
import { killCgroupAndWait } from '../../../linux/cgroup.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { MachineLife } from '../../../model/machine-order.ts'
import type { MachineEvent, MachineExit, MachineState, RunningMachine } from '../hypervisor.ts'
import { attachedNodes } from './block-nodes.ts'
import { addOverlays, captureMachine } from './capture.ts'
import { changeDisc } from './change-disc.ts'
import { cardId } from './command-line.ts'
import { openConsoleStream } from './console-stream.ts'
import { countCpus, setCpus } from './grow-cpus.ts'
import { readMemory, setMemory } from './grow-memory.ts'
import { runInGuest, withFileSystems } from './guest-agent.ts'
import { attachDisk, detachDisk, diskSizes, listPlugged, resizeDisk } from './hot-plug.ts'
import { limitDisks } from './limit-disks.ts'
import { closeLeftLayers, mergeLayers } from './merge-layers.ts'
import { continueAfterMigration, readArrivalState } from './migration.ts'
import { endMirrorOf, mirrorDisk } from './mirror-disk.ts'
import { attachCard, cardNumbers, detachCard } from './plug-cards.ts'
import { boundLog, lastLogLines, type ProcessEnding, settlesWithin } from './qemu-process.ts'
import type { QmpEvent } from './qmp-client.ts'
import type { QmpSession } from './qmp-session.ts'
import type { QmpCommands } from './qmp-types.ts'
import { createResidentChannel, type ResidentChannel } from './resident-channel.ts'
import { type RunFiles, runFiles } from './run-files.ts'
import { sendMachine } from './send-machine.ts'

/** An ordinary answer takes a millisecond; a host under pressure gets this long. */
const commandTimeoutMs = 5000
/** `stop` waits for the writes in flight, which is as long as the storage takes. */
const pauseTimeoutMs = 20_000
/** After the death of the process its last events are still in the socket; they are read within this time. */
const lastEventsTimeoutMs = 200
const logCheckIntervalMs = 5000
/** As after a migration: at once, then after 50, 150, 250 and 350 ms, for a switch that was not ready for the first. */
const announcement = { initial: 50, max: 550, rounds: 5, step: 100 } as const

export type MachineParts = {
  readonly life: MachineLife
  readonly pid: number
  readonly runDirectory: string
  readonly cgroupDirectory: string
  readonly fileLocking: boolean
  readonly session: QmpSession
  /** True for a machine that has never run in this process: the network is told where it is when it does. */
  readonly isNewHere?: boolean
  /** Resolves when the process is gone: its files are closed. The session ends when QEMU closes its end, which may be a bit earlier. */
  readonly watchEnd: (session: QmpSession, detached: AbortSignal) => Promise<ProcessEnding>
}

/** Lets the machine be used. Does not connect by itself: `session.connect` does, so that the caller says how long that may take. */
export function createQemuMachine(parts: MachineParts): RunningMachine {
  const { life, pid, runDirectory, fileLocking, session } = parts
  const files = runFiles(runDirectory)
  const { exited, onEvent, detach, markKilled, resident } = watchMachine(parts, files)
  let openedConsole: Duplex | undefined
  return {
    life,
    pid,
    exited,
    ...vcpuOrders(parts),
    kill: async (deadlineMs) => {
      markKilled()
      await killAndReap(parts, exited, deadlineMs)
    },
    capture: (request) => captureMachine(session, request, parts),
    addOverlays: (overlays) => addOverlays(session, overlays, parts),
    withGuestFileSystems: (work) => withFileSystems(files.guestAgent, work),
    diskPaths: async () => new Map([...(await attachedNodes(session))].map(([volumeId, { path }]) => [volumeId, path])),
    attachDisk: (disk) => attachDisk(session, disk, fileLocking),
    detachDisk: (volumeId) => detachDisk(session, volumeId),
    changeDisc: (drive, path, isForced) => changeDisc(session, { drive, path, isForced }),
    setLink: async (isUp) => {
      await session.execute('set_link', { name: cardId, up: isUp }, commandTimeoutMs)
    },
    mergeLayers: (volumeId, layers, options) => mergeLayers(session, { ...layers, volumeId }, options),
    closeLeftLayers: (volumeId) => closeLeftLayers(session, volumeId),
    mirrorDisk: (request) => mirrorDisk(session, { runDirectory, fileLocking }, request),
    endMirror: (request) => endMirrorOf(session, request),
    askResident: (request, timeoutMs) => resident.ask(request, timeoutMs),
    runInGuest: (command, timeoutMs) => runInGuest(files.guestAgent, command, timeoutMs),
    openConsole: async () => {
      openedConsole?.destroy()
      openedConsole = await openConsoleStream(files.console, commandTimeoutMs)
      void exited.then(() => openedConsole?.destroy())
      return openedConsole
    },
    onEvent,
    plugged: () => listPlugged(session),
    ...growthOrders(session, files),
    arrivalState: () => readArrivalState(session),
    send: (options) => sendMachine(session, runDirectory, options),
    detach: () => {
      openedConsole?.destroy()
      detach()
    },
  }
}

function growthOrders(
  session: QmpSession,
  { guestAgent }: RunFiles,
): Pick<
  RunningMachine,
  'hardware' | 'resizeDisk' | 'attachCard' | 'detachCard' | 'setCpus' | 'setMemory' | 'limitDisks'
> {
  return {
    hardware: async () => ({
      ...(await countCpus(session)),
      ...(await readMemory(session)),
      disks: [...(await diskSizes(session))].map(([volumeId, sizeMiB]) => ({ volumeId, sizeMiB })),
      cards: await cardNumbers(session),
    }),
    resizeDisk: (volumeId, sizeMiB) => resizeDisk(session, volumeId, sizeMiB),
    attachCard: (card) => attachCard(session, card),
    detachCard: (number) => detachCard(session, number),
    setCpus: (count, timeoutMs) => setCpus(session, count, { guestAgent, timeoutMs }),
    setMemory: (memoryMiB, timeoutMs) => setMemory(session, memoryMiB, timeoutMs),
    limitDisks: (limits) => limitDisks(session, limits),
  }
}

type MachineWatch = Pick<RunningMachine, 'exited' | 'onEvent' | 'detach'> & {
  readonly resident: ResidentChannel
  /** The coming end is by order. */
  markKilled(): void
}

/** Everything that goes on beside the orders, as long as the machine lives or until nobody wants to know of it any more. */
function watchMachine({ session, watchEnd }: MachineParts, files: RunFiles): MachineWatch {
  const listeners = new Set<(event: MachineEvent) => void>()
  const seen = createEventMemory((event) => {
    for (const listener of listeners) listener(event)
  })
  session.listen(seen.onEvent)
  const resident = createResidentChannel(files.resident)
  const detached = new AbortController()
  let isKillAsked = false
  const logTimer = setInterval(() => {
    for (const path of [files.log, files.consoleLog]) boundLog(path).catch(() => undefined)
  }, logCheckIntervalMs)
  logTimer.unref()
  const endWatches = () => {
    clearInterval(logTimer)
    resident.close()
    session.close()
  }
  const exited = watchEnd(session, detached.signal).then(async (ending): Promise<MachineExit> => {
    await settlesWithin(session.disconnected(), lastEventsTimeoutMs)
    endWatches()
    const log = await lastLogLines(files.log, 1)
    return describeExit(ending, { isKillAsked, wasShutDownByGuest: seen.wasShutDownByGuest(), log })
  })
  return {
    exited,
    resident,
    markKilled: () => {
      isKillAsked = true
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
}

function vcpuOrders(
  parts: Pick<MachineParts, 'session' | 'isNewHere'>,
): Pick<RunningMachine, 'state' | 'resume' | 'pause' | 'pressPowerButton' | 'reset'> {
  const { session } = parts
  let isAnnounced = parts.isNewHere !== true
  return {
    state: async () => stateOf(await session.execute('query-status', {}, commandTimeoutMs)),
    resume: async () => {
      const running = continueAfterMigration(session)
      // Sent at once behind it. QEMU told the network of itself when it loaded the image, which was long ago and led nowhere.
      const announced = isAnnounced ? undefined : session.execute('announce-self', announcement, commandTimeoutMs)
      isAnnounced = true
      await Promise.all([running, announced])
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
  }
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
      case 'WATCHDOG':
        return tell({ kind: 'guest-hung' })
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
