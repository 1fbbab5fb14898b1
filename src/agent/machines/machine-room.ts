/** All machines of this host: finds them again after a restart of the agent, takes orders, and answers for what is here. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type SessionId, type VmId, vmIdSchema } from '../../model/ids.ts'
import type { MachineOrder, OrderAuthority } from '../../model/machine-order.ts'
import type { MachineReport } from '../../model/vm.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import type { ArrivalWish } from '../migration/arrival.ts'
import { removeLayersOf, removeLeftLayers } from '../recovery/remove-left-layers.ts'
import { createStandbyRoom, type StandbyRoom } from '../recovery/standby-room.ts'
import { reapWithinMs } from './keeping.ts'
import { sharedStoragesOf } from './launch-machine.ts'
import { cardsOf, disconnectCards } from './machine-cards.ts'
import { createMachineKeeper, type MachineKeeper } from './machine-keeper.ts'
import { tapNameOf } from './machine-names.ts'
import type { MachinePorts } from './machine-ports.ts'
import type { MachineRecord } from './machine-record.ts'

export type MachineRoom = {
  readonly session: SessionId
  /** Finds the machines that outlived an earlier agent. Has to be done before the first heartbeat. */
  adoptAll(): Promise<void>
  reports(): readonly MachineReport[]
  /** The machines that are held here, as they were ordered. */
  orders(): readonly MachineOrder[]
  /** What this host would take over. */
  readonly standbys: StandbyRoom
  highestEpoch(): number
  /** The newest leader's term that an order came with; 0 before the first. */
  highestTerm(): number
  start(machine: MachineOrder, order: { readonly authority: OrderAuthority; readonly epoch: number }): MachineReport
  /** This machine is going to be sent here. Resolves when a process waits for it, and tells what that one can. */
  expectArrival(
    order: ArrivalWish & {
      readonly authority: OrderAuthority
      readonly epoch: number
      readonly machine: MachineOrder
    },
  ): Promise<{ readonly canPostCopy: boolean }>
  /** The machine whose order this is for; throws `session-void`, `stale-epoch` or `not-found`. */
  keeperFor(vmId: VmId, order: { readonly authority: OrderAuthority; readonly epoch: number }): MachineKeeper
  keeper(vmId: VmId): MachineKeeper | undefined
  /**
   * Resolves when the machine is reaped and nothing up to this epoch will start here: the caller may take it as a proof. `onlyIfStill`: throws
   * `wrong-state` when a write of it may be on its way, or it is not held here.
   */
  release(
    vmId: VmId,
    order: {
      readonly authority: OrderAuthority
      readonly upToEpoch: number
      readonly detail: string
      readonly onlyIfStill?: boolean | undefined
    },
  ): Promise<void>
  /** The leader has fenced this host: every leased machine ends. Resolves when all are reaped. */
  releaseLeased(detail: string): Promise<void>
  applyLicences(): Promise<void>
  checkAuthority(authority: OrderAuthority): void
}

type Forgetting = { readonly detail: string; readonly onlyIfStill?: boolean }

export function createMachineRoom(session: SessionId, ports: MachinePorts): MachineRoom {
  const keepers = new Map<VmId, MachineKeeper>()
  /** Starts up to this epoch are void here, whatever order may still be under way. */
  const releasedUpTo = new Map<VmId, number>()
  const { check: checkAuthority, highestTerm } = createAuthorityCheck(session)
  const clearing = createClearing(ports)
  const standbys = createStandbyRoom(ports)

  const forget = async (vmId: VmId, keeper: MachineKeeper, { detail, onlyIfStill = false }: Forgetting) => {
    await keeper.release(detail, { onlyIfStill })
    if (keepers.get(vmId) === keeper && keeper.isReleased()) keepers.delete(vmId)
    ports.reportSoon()
  }

  const keeperOfOrder = (machine: MachineOrder, order: Order) => {
    checkAuthority(order.authority)
    return keeperUnder({ keepers, releasedUpTo, clearing, standbys, ports }, machine, order.epoch)
  }

  return {
    session,
    checkAuthority,
    standbys,
    adoptAll: () => adoptAll(keepers, standbys, ports),
    orders: () => [...keepers.values()].map((keeper) => keeper.record().machine),
    reports: () => [...keepers.values()].map((keeper) => keeper.report()),
    highestTerm,
    highestEpoch: () => Math.max(0, ...[...keepers.values()].map((keeper) => keeper.epoch()), ...releasedUpTo.values()),
    start(machine, order) {
      const { keeper, isNew } = keeperOfOrder(machine, order)
      if (isNew) keeper.start(machine, order.epoch)
      return keeper.report()
    },
    expectArrival: async (order) => keeperOfOrder(order.machine, order).keeper.expectArrival(order),
    keeperFor(vmId, { authority, epoch }) {
      checkAuthority(authority)
      const keeper = keepers.get(vmId)
      if (keeper === undefined) throw new DialtoneError('not-found', `${vmId} is not held on ${ports.hostName}`)
      if (keeper.epoch() !== epoch)
        throw new DialtoneError('stale-epoch', `${vmId} is held under epoch ${keeper.epoch()}, not ${epoch}`)
      return keeper
    },
    keeper: (vmId) => keepers.get(vmId),
    async release(vmId, { authority, upToEpoch, detail, onlyIfStill = false }) {
      checkAuthority(authority)
      const held = keepers.get(vmId)
      if (onlyIfStill && held?.epoch() !== upToEpoch)
        throw new DialtoneError('wrong-state', `${vmId} is not held here under epoch ${upToEpoch}`)
      if (onlyIfStill && held !== undefined) await forget(vmId, held, { detail, onlyIfStill })
      releasedUpTo.set(vmId, Math.max(upToEpoch, releasedUpTo.get(vmId) ?? 0))
      const keeper = keepers.get(vmId)
      if (keeper !== undefined && keeper.epoch() > upToEpoch) {
        throw new DialtoneError('stale-epoch', `${vmId} is held here under the newer epoch ${keeper.epoch()}`)
      }
      if (keeper !== undefined) await forget(vmId, keeper, { detail })
      else await clearing.clear(vmId)
    },
    async releaseLeased(detail) {
      const leased = [...keepers].filter(([, keeper]) => keeper.record().machine.leased)
      // The leader takes it as a proof: an order up to these epochs that arrives late is void.
      for (const [vmId, keeper] of leased) releasedUpTo.set(vmId, Math.max(keeper.epoch(), releasedUpTo.get(vmId) ?? 0))
      await Promise.all(leased.map(([vmId, keeper]) => forget(vmId, keeper, { detail })))
    },
    async applyLicences() {
      // Nobody waits for it: a machine that takes long to stand still keeps no other one from being frozen in time.
      for (const [vmId, keeper] of keepers) void applyOne(vmId, keeper, ports)
    },
  }
}

type Order = { readonly authority: OrderAuthority; readonly epoch: number }

type Room = {
  readonly keepers: Map<VmId, MachineKeeper>
  readonly releasedUpTo: ReadonlyMap<VmId, number>
  readonly clearing: ReturnType<typeof createClearing>
  readonly standbys: StandbyRoom
  readonly ports: MachinePorts
}

/** The keeper of what is ordered to be here under this epoch; `isNew`: it has not heard of that order yet. */
function keeperUnder(
  { keepers, releasedUpTo, clearing, standbys, ports }: Room,
  machine: MachineOrder,
  epoch: number,
): { readonly keeper: MachineKeeper; readonly isNew: boolean } {
  const { vmId } = machine
  const released = releasedUpTo.get(vmId) ?? 0
  if (epoch <= released)
    throw new DialtoneError('stale-epoch', `${machine.name} was released here up to epoch ${released}`)
  const existing = keepers.get(vmId)
  const held = existing?.epoch() ?? 0
  if (epoch < held) throw new DialtoneError('stale-epoch', `${machine.name} is held here under epoch ${held}`)
  if (existing !== undefined && epoch === held) return { keeper: existing, isNew: false }
  const after = clearing.underWay(vmId) ?? Promise.resolve()
  const spare = standbys.spareOf(vmId)
  const keeper = existing ?? createMachineKeeper(newRecord(machine, epoch, ports.bootId), ports, { spare, after })
  standbys.forget(vmId)
  keepers.set(vmId, keeper)
  return { keeper, isNew: true }
}

async function applyOne(vmId: VmId, keeper: MachineKeeper, { logger }: MachinePorts): Promise<void> {
  try {
    await keeper.applyLicence()
  } catch (error) {
    // The watchdog process sees the same facts and acts if this did not.
    logger.error('machine.licence-not-applied', { vmId, error })
  }
}

/**
 * Ends what may be left of a machine that no keeper holds: its release is a proof as much as any other. A start that is ordered meanwhile
 * waits for it, so that it never clears away a newer life.
 */
function createClearing(ports: MachinePorts) {
  const underWay = new Map<VmId, Promise<void>>()
  const clearNow = async (vmId: VmId) => {
    const isLeft = (await ports.cgroups.listPopulated()).some(({ name }) => name === vmId)
    await ports.cgroups.kill(vmId, reapWithinMs)
    await ports.records.remove(vmId)
    // What it had sent to a disk may still be on its way there.
    if (isLeft) await ports.clock.sleep(ports.licences.timings().drainMs)
  }
  return {
    underWay: (vmId: VmId) => underWay.get(vmId),
    clear(vmId: VmId): Promise<void> {
      const clearing = underWay.get(vmId) ?? clearNow(vmId).finally(() => underWay.delete(vmId))
      underWay.set(vmId, clearing)
      return clearing
    },
  }
}

async function adoptAll(keepers: Map<VmId, MachineKeeper>, standbys: StandbyRoom, ports: MachinePorts): Promise<void> {
  const records = await ports.records.readAll()
  const current = records.filter((record) => record.bootId === ports.bootId)
  await guardAll(current, ports)
  for (const record of records) if (record.bootId !== ports.bootId) await ports.records.remove(record.machine.vmId)
  await endOldSpares(current, ports)
  await ports.network.adopt(current.flatMap(({ machine, tapName }) => cardsOf(machine, tapName)))
  await Promise.all(current.map((record) => adoptOne(record, { keepers, standbys }, ports)))
}

/** In one word, before anything that takes time: the watchdog guards what it was told last, and nothing else. */
async function guardAll(records: readonly MachineRecord[], ports: MachinePorts): Promise<void> {
  const entries = records
    .filter(({ machine }) => machine.leased)
    .map(({ machine }) => {
      const cgroupDirectory = ports.cgroups.directory(machine.vmId)
      return [machine.vmId, { storageIds: sharedStoragesOf(machine, ports), cgroupDirectory, isFrozen: false }] as const
    })
  await ports.licences
    .takeOver(new Map(entries))
    .catch((error: unknown) => ports.logger.warn('watchdog.silent', { error }))
}

/** Spares are not taken over from an earlier agent: what it knew of them is gone, and a new one is made in a moment. */
async function endOldSpares(records: readonly MachineRecord[], ports: MachinePorts): Promise<void> {
  for (const { name } of await ports.cgroups.listSpares())
    await ports.cgroups.endSpare(vmIdSchema.parse(name), reapWithinMs)
  const processes = new Set(records.map(({ process }) => process))
  await removeLeftLayers(processes, ports)
  await ports.records.keepProcessDirectories(processes)
  const taps = new Set(records.flatMap(({ machine, tapName }) => cardsOf(machine, tapName).map((card) => card.tapName)))
  for (const tapName of await ports.network.listTaps()) if (!taps.has(tapName)) await ports.network.removeTap(tapName)
}

/** Orders count only for this session, and never of an older term than was heard of. */
function createAuthorityCheck(session: SessionId) {
  let highestTerm = 0
  const check = (authority: OrderAuthority): void => {
    if (authority.session !== session) {
      throw new DialtoneError(
        'session-void',
        `this order is for session ${authority.session}; the agent's session is ${session}`,
      )
    }
    if (authority.term < highestTerm) {
      throw new DialtoneError(
        'session-void',
        `this order is of term ${authority.term}; term ${highestTerm} has been heard of`,
      )
    }
    highestTerm = authority.term
  }
  return { check, highestTerm: () => highestTerm }
}

async function adoptOne(
  record: MachineRecord,
  { keepers, standbys }: { readonly keepers: Map<VmId, MachineKeeper>; readonly standbys: StandbyRoom },
  ports: MachinePorts,
): Promise<void> {
  const { vmId } = record.machine
  const running = await ports.hypervisor
    .adopt(ports.records.processDirectory(record.process), ports.cgroups.directory(vmId))
    .catch((error: unknown) => {
      ports.logger.error('machine.not-adopted', { vmId, error })
      return undefined
    })
  if (!record.confirmed && running !== undefined && record.isArriving && (await isAllHere(running))) {
    const keeper = createMachineKeeper(record, ports, { spare: standbys.spareOf(vmId) })
    keepers.set(vmId, keeper)
    return keeper.adoptArrival(running)
  }
  if (!record.confirmed) {
    // Its vCPUs never ran and its order belonged to an earlier session: the leader will order anew.
    await ports.cgroups.kill(vmId, reapWithinMs)
    ports.licences.unguard(vmId)
    running?.detach()
    await disconnectCards(record.machine, record.tapName, ports)
    await ports.cgroups.remove(vmId)
    await removeLayersOf(record.process, ports)
    await ports.records.removeProcessDirectory(record.process)
    await ports.records.remove(vmId)
    return
  }
  const keeper = createMachineKeeper(record, ports, { spare: standbys.spareOf(vmId) })
  keepers.set(vmId, keeper)
  const isTorn = running !== undefined && record.handedOverTo === null && (await lacksMemory(running))
  if (running !== undefined && !isTorn) return keeper.adopt(running)
  running?.detach()
  // A process that could not be reached is not a process that is gone: only an empty cgroup says so.
  await ports.cgroups.kill(vmId, reapWithinMs)
  if (record.wanted === 'running' && record.handedOverTo === null) keeper.restartOnTheSpot()
}

/** It came while the earlier agent was there. The leader may have made it this host's already: nobody else has its memory then. */
async function isAllHere(running: RunningMachine): Promise<boolean> {
  return (await running.arrivalState().catch(() => 'none' as const)) === 'whole'
}

/** The rest of it was on its way when the earlier agent ended, by whom it came. One that doesn't answer is believed to be whole. */
async function lacksMemory(running: RunningMachine): Promise<boolean> {
  return (await running.arrivalState().catch(() => 'none' as const)) === 'torn'
}

function newRecord(machine: MachineOrder, epoch: number, bootId: string): MachineRecord {
  return {
    machine,
    epoch,
    incarnation: 0,
    bootId,
    confirmed: false,
    isArriving: false,
    wanted: 'running',
    isPaused: false,
    process: 'none',
    tapName: tapNameOf(machine.number),
    startedBy: 'boot',
    imageId: null,
    layers: [],
    unneededLayers: [],
    handedOverTo: null,
    lastRevert: null,
  }
}
