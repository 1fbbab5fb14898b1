/** What a clone by disks is: its origin as it was at the snapshot, with names, cards and addresses of its own. Pure. */
import type { NetworkId } from '../../model/ids.ts'
import { nicsOf } from '../../model/network.ts'
import type { Snapshot, SnapshotDisk } from '../../model/snapshots/snapshot.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { VmWish } from '../admit-vm.ts'

/** What a clone takes over of a snapshot, or of the present. */
export type CloneInstant = {
  readonly disks: readonly Pick<SnapshotDisk, 'storageId' | 'sizeMiB'>[]
  readonly machine: Pick<Snapshot['machine'], 'cpus' | 'memoryMiB' | 'hardware'>
}

export type CloneWish = {
  readonly name: string
  readonly start: boolean
  /** Its only card, with this address or any; null: a card in each network of its origin. */
  readonly card: { readonly networkId: NetworkId; readonly address?: string | undefined } | null
}

/** It is not restarted elsewhere, nor recovered from memory, until its owner says so: a copy is not the service that it is a copy of. */
export function wishForClone(source: VmSpec, instant: CloneInstant, { name, start, card }: CloneWish): VmWish {
  const [root, ...others] = instant.disks
  const { cpus, memoryMiB, hardware } = instant.machine
  const cards = card === null ? nicsOf(source).map(({ networkId }) => ({ networkId })) : [card]
  return {
    name,
    template: source.templateVersion,
    cpus,
    memoryMiB,
    storage: root?.storageId,
    disks: others.map(({ sizeMiB, storageId }) => ({ sizeMiB, format: 'qcow2', storageId })),
    networks: cards.map(({ networkId: network, ...rest }) => ({ network, ...rest })),
    ha: false,
    autostart: source.autostart,
    startOrder: source.startOrder,
    start,
    extraCommandLine: source.extraCommandLine,
    recovery: { mode: 'boot' },
    probe: source.probe,
    drillable: false,
    securityGroupIds: source.securityGroupIds,
    placementRules: source.placementRules,
    cloudInit: source.cloudInit,
    rootDiskMiB: root?.sizeMiB,
    origin: { clonedFrom: null, hardware, rootDiskMiB: root?.sizeMiB ?? 1, guest: source.guest },
  }
}
