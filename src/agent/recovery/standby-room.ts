/**
 * The machines that this host would take over: their images are kept here, with a process that waits for each. One spare keeper a machine,
 * whoever wants it: the standby, or the machine itself when it runs here.
 */
import type { StandbyReport } from '../../model/agent-protocol/heartbeat.ts'
import type { ImageId, VmId } from '../../model/ids.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import type { MachinePorts } from '../machines/machine-ports.ts'
import type { Prober } from '../probes/prober.ts'
import { rootOf } from './machine-shape.ts'
import { createSpareKeeper, type SpareKeeper } from './spare-keeper.ts'
import { watchElsewhere } from './watch-service.ts'

export type StandbyRoom = {
  /** The keeper of the machine's spare on this host, made at its first use. */
  spareOf(vmId: VmId): SpareKeeper
  /** Keeps this image here, with a process that waits. Answers at once; the reports tell how it goes. */
  keep(machine: MachineOrder, imageId: ImageId): void
  /** Nothing is kept ready for it any more; resolves when nothing of it is left. */
  drop(vmId: VmId): Promise<void>
  /** The machine itself runs here from now on: it looks after its spare itself. */
  forget(vmId: VmId): void
  reports(): readonly StandbyReport[]
  /** The machine with this number that this host would take over. */
  vmWithNumber(number: number | undefined): VmId | undefined
}

type Standby = {
  readonly machine: MachineOrder
  readonly imageId: ImageId
  state: 'fetching' | 'failed' | 'kept'
  detail: string
  /** Looks at the machine from here: a second opinion, and what is known when its own host dies. */
  readonly prober: Prober | undefined
}

export function createStandbyRoom(ports: MachinePorts): StandbyRoom {
  const spares = new Map<VmId, SpareKeeper>()
  const standbys = new Map<VmId, Standby>()
  const spareOf = (vmId: VmId) => {
    const known = spares.get(vmId)
    if (known !== undefined) return known
    const made = createSpareKeeper(ports, () => ports.reportSoon())
    spares.set(vmId, made)
    return made
  }
  const fetch = async (standby: Standby) => {
    const { machine, imageId } = standby
    const { storageId, volumeId } = rootOf(machine)
    try {
      const { manifest } = await ports.images.ensure({ storage: ports.storage(storageId), volumeId, imageId })
      if (standbys.get(machine.vmId) !== standby) return
      standby.state = 'kept'
      spareOf(machine.vmId).keep({ machine, image: manifest, takenTap: undefined, life: { epoch: 1, incarnation: 0 } })
    } catch (error) {
      standby.state = 'failed'
      standby.detail = error instanceof Error ? error.message : String(error)
      ports.logger.warn('standby.not-placed', { vmId: machine.vmId, imageId, error })
    }
    ports.reportSoon()
  }
  const end = (vmId: VmId) => {
    const prober = standbys.get(vmId)?.prober
    standbys.delete(vmId)
    if (prober === undefined) return
    prober.stop()
    ports.journal.note({ kind: 'probing-ended', vmId, at: ports.clock.wallTime().toISOString(), prober: 'other' })
  }
  return {
    spareOf,
    vmWithNumber: (number) => [...standbys.values()].find(({ machine }) => machine.number === number)?.machine.vmId,
    keep(machine, imageId) {
      const present = standbys.get(machine.vmId)
      if (present?.imageId === imageId && present.state !== 'failed') return
      const prober = present?.prober ?? watchElsewhere(machine, ports)
      const standby: Standby = { machine, imageId, state: 'fetching', detail: '', prober }
      standbys.set(machine.vmId, standby)
      void fetch(standby)
    },
    async drop(vmId) {
      const imageId = standbys.get(vmId)?.imageId
      end(vmId)
      await spareOf(vmId).drop()
      if (imageId !== undefined) await ports.images.remove(imageId, { isForced: true })
      ports.reportSoon()
    },
    forget: end,
    reports: () =>
      [...standbys.values()].map(({ machine: { vmId }, imageId, state, detail }) => {
        const spare = spareOf(vmId)
        const hasSpare = spare.state() === 'ready' && spare.image()?.id === imageId
        const shown = state === 'kept' ? (hasSpare ? 'ready' : 'placed') : state
        return { vmId, imageId, state: shown, detail: detail === '' ? spare.note() : detail }
      }),
  }
}
