/** The agent's side of the contract with the leader: each order is checked for its authority, then carried out; all are safe to repeat. */
import type { AgentContract, DiskClaim, Inventory } from '../model/agent-protocol/agent-contract.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { type HostId, imageIdSchema, vmIdSchema } from '../model/ids.ts'
import { formatPill } from '../model/protection/pill.ts'
import type { Handlers } from '../transport/mount-contract.ts'
import type { AgentPorts } from './agent-ports.ts'
import { cloneOrders } from './clones/clone-orders.ts'
import { createFlattenWorks, type FlattenWorks } from './clones/flatten-works.ts'
import type { HostStorages } from './host-storages.ts'
import { numberOfTap } from './machines/machine-names.ts'
import type { MachineRoom } from './machines/machine-room.ts'
import { manifestOrders } from './manifest-orders.ts'
import { migrationOrders } from './migration/migration-orders.ts'
import { volumeOrders } from './migration/volume-orders.ts'
import type { LicenceKeeper } from './protection/licence-keeper.ts'
import { recoveryOrders } from './recovery/recovery-orders.ts'
import { snapshotOrders } from './snapshots/snapshot-orders.ts'
import type { VolumeRequest } from './storage/storage.ts'

export type OrderContext = {
  readonly hostId: HostId
  readonly room: MachineRoom
  readonly storages: HostStorages
  readonly licences: LicenceKeeper
  readonly ports: Pick<
    AgentPorts,
    'clock' | 'hostName' | 'cgroups' | 'images' | 'outcomes' | 'rootDisk' | 'network' | 'records' | 'hostCommands'
  >
}

export function handleOrders(context: OrderContext): Handlers<AgentContract> {
  const { room, ports, storages, licences } = context
  const works = createFlattenWorks(ports.clock, () => ports.cgroups.makeForTools())
  return {
    startMachine: ({ body }) => ({ report: room.start(body.machine, body) }),
    async stopMachine({ params, body }) {
      const keeper = room.keeperFor(params.vmId, body)
      if (body.mode === 'shutdown') await keeper.shutDown()
      else
        await room.release(params.vmId, { authority: body.authority, upToEpoch: body.epoch, detail: 'killed by order' })
      return { report: keeper.report() }
    },
    async releaseMachine({ params, body }) {
      await room.release(params.vmId, { ...body, detail: 'released by order' })
      return { session: room.session, upToEpoch: body.upToEpoch }
    },
    async changeMachine({ params, body }) {
      const keeper = room.keeperFor(params.vmId, body)
      await keeper[body.change]()
      return { report: keeper.report() }
    },
    async changeDisc({ params, body }) {
      const { isoId, isForced } = body
      await room.keeperFor(params.vmId, body).changeDisc({ drive: params.drive, isoId, isForced })
      return {}
    },
    async console({ params }) {
      const machine = room.keeper(params.vmId)?.running()
      if (machine === undefined)
        throw new DialtoneError('wrong-state', `${params.vmId} has no process on ${ports.hostName}`)
      return machine.openConsole()
    },
    ...diskOrders(context, works),
    async writePill({ params: { storageId, slot }, body }) {
      room.checkAuthority(body.authority)
      const clearsOwn = body.pill === null && storages.slotOf(storageId) === slot
      if (clearsOwn) await licences.ownSlotCleared(storageId, null)
      await storages.storage(storageId).writeSlot(slot, body.pill === null ? '' : formatPill(body.pill))
      if (clearsOwn) await licences.ownSlotCleared(storageId, ports.clock.bootTimeMs())
      return {}
    },
    ...recoveryOrders(room),
    ...snapshotOrders(room, { ...ports, storage: storages.storage }),
    ...cloneOrders(room, { ...ports, storage: storages.storage }, works),
    ...migrationOrders(room),
    ...volumeOrders(context),
    ...manifestOrders(room, storages),
    runHostCommand({ params, body }) {
      room.checkAuthority(body.authority)
      return ports.hostCommands.run(params.runId, body.command)
    },
    inventory: () => takeInventory(context),
    localClaims: async () => ({ claims: await claimsHere(context) }),
  }
}

function diskOrders(
  { room, ports, storages }: OrderContext,
  works: FlattenWorks,
): Pick<Handlers<AgentContract>, 'createVolume' | 'deleteVolume'> {
  return {
    async createVolume({ params, body }) {
      room.checkAuthority(body.authority)
      const base = body.baseVersion === null ? {} : { base: await baseOf(body.baseVersion, ports) }
      const cgroupDirectory = await ports.cgroups.makeForTools()
      const { volumeId } = params
      await storages.storage(body.storageId).createVolume({
        volumeId,
        format: body.format,
        sizeMiB: body.sizeMiB,
        cgroupDirectory,
        ...base,
      })
      return {}
    },
    async deleteVolume({ params, body }) {
      room.checkAuthority(body.authority)
      await works.callOff(params.volumeId)
      await storages.storage(body.storageId).deleteVolume(params.volumeId)
      return {}
    },
  }
}

/** A template's root disk is brought here; what was published of a memory image is on the storage already. */
async function baseOf(version: string, ports: OrderContext['ports']): Promise<NonNullable<VolumeRequest['base']>> {
  const isPublished = imageIdSchema.safeParse(version).success
  return { version, path: isPublished ? undefined : await ports.rootDisk(version) }
}

/** A claim that can't be read tells nothing: its machine starts nowhere by it. */
async function claimsHere({ storages, ports }: OrderContext): Promise<DiskClaim[]> {
  const claims: DiskClaim[] = []
  for (const [storageId, storage] of storages.all()) {
    if (storages.isShared(storageId)) continue
    for (const volumeId of await storage.listVolumes()) {
      const owner = await storage.readClaim(volumeId).catch(() => undefined)
      if (owner?.hostName !== ports.hostName) continue
      claims.push({ vmId: vmIdSchema.parse(owner.life.vmId), epoch: owner.life.epoch, volumeId, storageId })
    }
  }
  return claims
}

async function takeInventory({ hostId, room, ports, storages }: OrderContext): Promise<Inventory> {
  const machines = [...room.reports()]
  const taps = await ports.network.listTaps()
  const volumes: Inventory['volumes'] = []
  const usages: Inventory['storages'] = []
  for (const [storageId, storage] of storages.all()) {
    try {
      for (const volumeId of await storage.listVolumes()) volumes.push({ storageId, volumeId })
      usages.push({ storageId, ...(await storage.usage()), error: null })
    } catch (error) {
      usages.push({ storageId, totalMiB: 0, freeMiB: 0, error: error instanceof Error ? error.message : String(error) })
    }
  }
  const records = await ports.records.readAll()
  return {
    hostId,
    session: room.session,
    machines,
    populatedMachineCgroups: [...(await ports.cgroups.listPopulated())],
    runDirectories: records.map((record) => record.machine.vmId),
    taps: taps.map((tapName) => ({
      tapName,
      vmId:
        records.find((record) => record.machine.number === numberOfTap(tapName))?.machine.vmId ??
        room.standbys.vmWithNumber(numberOfTap(tapName)) ??
        null,
    })),
    volumes,
    statistics: ports.outcomes.statistics(),
    spares: (await ports.cgroups.listSpares()).map(({ name, pids }) => ({ vmId: vmIdSchema.parse(name), pids })),
    images: (await ports.images.list()).map(({ manifest, usedBytes }) => ({
      imageId: manifest.id,
      vmId: manifest.vmId,
      usedMiB: Math.ceil(usedBytes / 2 ** 20),
    })),
    storages: usages,
  }
}
