/** One guest: it writes to its disks as long as its vCPUs run, one stamp after the other, and tells a client what is safe once it has landed. */
import { changeState, endFakeMachine, type FakeMachine } from '../../agent/hypervisor/fake/fake-world.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type VolumeId, vmIdSchema, volumeIdSchema } from '../../model/ids.ts'
import type { GuestProcess, Observation } from '../observation.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { SimulatedStorage } from '../storage/simulated-storage.ts'
import type { StampedDisks } from '../storage/stamped-disks.ts'
import type { WorldTime } from '../time/world-time.ts'

export type GuestSurroundings = {
  readonly hostName: string
  readonly boot: number
  readonly time: WorldTime
  readonly random: SeededRandom
  readonly disks: StampedDisks
  /** The storage that this volume is on. */
  storageOf(volumeId: VolumeId): SimulatedStorage | undefined
  /** Whether its owner declared that a recovery may take this volume back to an earlier state. */
  mayLose(volumeId: VolumeId): boolean
  observe(observation: Observation): void
}

export type Guest = {
  readonly machine: FakeMachine
  readonly identity: GuestProcess
  /** What it found on them was looked at. */
  readonly read: Set<VolumeId>
  /** Writes that have neither landed nor failed. */
  inFlight: number
  /** Its storage refused a write, which it asks for again as soon as it runs. */
  hasRefusedWrite: boolean
  /** Its process gets no processor: it does nothing, and answers nobody. */
  isStopped: boolean
  isRunning: boolean
  /** It was killed, and couldn't die at that moment. */
  isToEnd: boolean
  /** Its host has lost power: nothing of it happens any more. */
  isCut: boolean
  callOff: (() => void) | undefined
  readonly waiting: Set<() => void>
  /** Each has one of its writes land now. */
  readonly landNow: Set<() => void>
}

/** Between two writes of a guest, in milliseconds. */
const writeEveryMs = [120, 400] as const
/** So many of them may be under way: then it waits. */
const mostInFlight = 2
/** How often a machine that is stopped or killed had just begun to write. */
const lastWriteShare = 0.5
/** As the real driver's deadline for a command to QEMU. */
const drainDeadlineMs = 5_000

export function makeGuest(machine: FakeMachine, { hostName, boot }: GuestSurroundings): Guest {
  const { life, vmId } = machine.definition
  return {
    machine,
    identity: {
      process: `${hostName}#${boot}/${machine.pid}`,
      hostName,
      vmId: vmIdSchema.parse(vmId),
      epoch: life.epoch,
      incarnation: life.incarnation,
    },
    read: new Set(),
    inFlight: 0,
    hasRefusedWrite: false,
    isStopped: false,
    isRunning: false,
    isToEnd: false,
    isCut: false,
    callOff: undefined,
    waiting: new Set(),
    landNow: new Set(),
  }
}

export function letGuestRun(guest: Guest, around: GuestSurroundings): void {
  if (guest.isRunning || guest.isStopped || guest.isCut || guest.machine.state !== 'running') return
  guest.isRunning = true
  observeRun(guest, volumesOf(guest), around)
  if (guest.hasRefusedWrite) write(guest, around)
  guest.hasRefusedWrite = false
  writeAgain(guest, around)
}

export function letGuestStand(guest: Guest, around: GuestSurroundings): void {
  if (!guest.isRunning || guest.isCut) return
  guest.isRunning = false
  guest.callOff?.()
  if (around.random.chance(lastWriteShare)) write(guest, around)
  around.observe({ kind: 'guest-stands', ...guest.identity })
}

export function endGuest(guest: Guest, around: GuestSurroundings): void {
  if (guest.isCut) return
  letGuestStand(guest, around)
  guest.isCut = true
  // The kernel reaps nobody with a request under way: what is not stuck has landed.
  for (const land of [...guest.landNow]) land()
  around.observe({ kind: 'process-ended', ...guest.identity })
  for (const volumeId of volumesOf(guest)) around.storageOf(volumeId)?.processEnded(guest.identity.process)
}

/** Without a last word, and without a last write. */
export function cutGuest(guest: Guest, { observe }: GuestSurroundings): void {
  if (guest.isCut) return
  guest.isCut = true
  guest.callOff?.()
  observe({ kind: 'process-ended', ...guest.identity })
}

/** Resolves when nothing of it is in flight; throws `deadline-exceeded` after a while. */
export async function whenDrained(guest: Guest, { time }: GuestSurroundings): Promise<void> {
  if (guest.inFlight === 0) return
  await new Promise<void>((resolve, reject) => {
    const callOff = time.after(drainDeadlineMs, () => {
      guest.waiting.delete(wake)
      reject(new DialtoneError('deadline-exceeded', 'the machine did not answer in time'))
    })
    const wake = () => {
      callOff()
      resolve()
    }
    guest.waiting.add(wake)
  })
}

function writeAgain(guest: Guest, around: GuestSurroundings): void {
  const [least, most] = writeEveryMs
  guest.callOff = around.time.after(around.random.between(least, most), () => writeAgain(guest, around))
  if (guest.inFlight < mostInFlight) write(guest, around)
}

function write(guest: Guest, around: GuestSurroundings): void {
  const { identity, machine } = guest
  const volumes = volumesOf(guest)
  const [onlyVolume] = volumes
  const volumeId = volumes.length > 1 ? around.random.pick(volumes) : onlyVolume
  const storage = volumeId === undefined ? undefined : around.storageOf(volumeId)
  const path = volumeId === undefined ? undefined : machine.layers.get(volumeId)?.[0]
  if (volumeId === undefined || storage === undefined || path === undefined) return
  if (!guest.read.has(volumeId)) {
    guest.read.add(volumeId)
    // A data volume that came while it ran is its own from here on.
    observeRun(guest, [volumeId], around)
    const found = around.disks.newest(storage.contents.chainUnder(volumeId, path))
    if (!around.mayLose(volumeId)) around.observe({ kind: 'disk-read', ...identity, volumeId, stamp: found })
  }
  const stamp = around.disks.nextStamp()
  guest.inFlight += 1
  const landNow = storage.write({
    hostName: around.hostName,
    process: identity.process,
    landed() {
      around.disks.land(path, stamp)
      around.observe({ kind: 'write-landed', ...identity, volumeId, stamp })
      guest.landNow.delete(landNow)
    },
    answered() {
      if (guest.isRunning && !guest.isCut) around.observe({ kind: 'write-acknowledged', ...identity, volumeId, stamp })
      settle(guest, around)
    },
    failed() {
      // As QEMU with werror=stop.
      if (machine.exit === undefined && machine.state === 'running') changeState(machine, 'io-error')
      guest.hasRefusedWrite = true
      guest.landNow.delete(landNow)
      settle(guest, around)
    },
  })
  guest.landNow.add(landNow)
  noteHold(guest, around)
}

function settle(guest: Guest, around: GuestSurroundings): void {
  guest.inFlight -= 1
  noteHold(guest, around)
  if (guest.isToEnd && !guest.machine.isUnkillable)
    endFakeMachine(guest.machine, { reason: 'crashed', detail: 'ended by SIGKILL' })
  if (guest.inFlight > 0) return
  for (const wake of guest.waiting) wake()
  guest.waiting.clear()
}

/** A process whose writes hang can't be killed, on storages where it is so. */
function noteHold(guest: Guest, { storageOf }: GuestSurroundings): void {
  const { machine, identity } = guest
  machine.isUnkillable = volumesOf(guest).some((volumeId) => {
    const storage = storageOf(volumeId)
    return storage?.stuckWrites === 'hold-their-process' && storage.holds(identity.process)
  })
}

function observeRun(
  { identity, machine }: Guest,
  volumeIds: readonly VolumeId[],
  { observe }: Pick<GuestSurroundings, 'observe'>,
): void {
  observe({ kind: 'guest-runs', ...identity, volumeIds, memoryMiB: machine.definition.memoryMiB })
}

/** Those that it has now: a data volume may come while it runs. */
function volumesOf({ machine }: Guest): readonly VolumeId[] {
  return [...machine.layers.keys()].map((volumeId) => volumeIdSchema.parse(volumeId))
}
