/** The agents' side of a volume that moves, as fake hosts keep it: what is copied, and what stands still until it is known which is its disk. */
import { DialtoneError } from '../model/dialtone-error.ts'
import type { AgentPort } from './agent-port.ts'
import { isWriting } from './fake-host.fixture.ts'
import type { MoveFakes } from './fake-moves.fixture.ts'

type VolumeOrders = 'mirrorVolume' | 'holdVolume' | 'switchVolume' | 'keepVolume' | 'copyVolume'

/** How often it is asked for until the copy has all. */
const looksUntilReady = 3

export function fakeVolumeMoves({ disks, reach, held, become }: MoveFakes): Pick<AgentPort, VolumeOrders> {
  return {
    mirrorVolume: (spec, { vmId, authority, epoch }) =>
      reach({ spec, call: 'mirrorVolume', authority }, (host) => {
        const machine = held(host, vmId, epoch)
        if (!isWriting(machine)) throw new DialtoneError('wrong-state', `it is ${machine.phase}`)
        machine.copyLooks += 1
        return { isReady: machine.copyLooks >= looksUntilReady, copiedBytes: machine.copyLooks, totalBytes: 3 }
      }),
    holdVolume: (spec, { vmId, authority, epoch, volumeId, toStorageId }) =>
      reach({ spec, call: 'holdVolume', authority }, (host) => {
        const machine = held(host, vmId, epoch)
        if (machine.isHandedOver) return
        if (machine.copyLooks < looksUntilReady) throw new DialtoneError('wrong-state', 'they are not the same')
        const disk = machine.order.disks.find((one) => one.volumeId === volumeId)
        if (disk !== undefined) disks.copy(volumeId, disk.storageId, toStorageId)
        machine.isHandedOver = true
        become(host, vmId, 'frozen')
      }),
    switchVolume: (spec, { vmId, authority, epoch, volumeId, toStorageId }) =>
      reach({ spec, call: 'switchVolume', authority }, (host) => {
        const machine = held(host, vmId, epoch)
        const at = (disk: (typeof machine.order.disks)[number]) =>
          disk.volumeId === volumeId ? { ...disk, storageId: toStorageId } : disk
        machine.order = { ...machine.order, disks: machine.order.disks.map(at) }
        machine.isHandedOver = false
        if (machine.phase === 'frozen') become(host, vmId, 'running')
      }),
    keepVolume: (spec, { vmId, authority, epoch }) =>
      reach({ spec, call: 'keepVolume', authority }, (host) => {
        const machine = held(host, vmId, epoch)
        machine.copyLooks = 0
        if (!machine.isHandedOver) return
        machine.isHandedOver = false
        become(host, vmId, 'running')
      }),
    copyVolume: (spec, { authority, volumeId, fromStorageId, toStorageId }) =>
      reach({ spec, call: 'copyVolume', authority }, () => disks.copy(volumeId, fromStorageId, toStorageId)),
  }
}
