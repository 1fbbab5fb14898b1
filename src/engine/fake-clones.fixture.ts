/** The agents' side of clones, as fake hosts keep it: which volumes begin with which layers, and which were made to stand alone. */
import type { DiskLink } from '../model/agent-protocol/clone-orders.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { VolumeId } from '../model/ids.ts'
import type { AgentPort } from './agent-port.ts'
import type { FakeDisks } from './fake-disks.fixture.ts'
import { isWriting } from './fake-host.fixture.ts'
import type { SnapshotFakes } from './fake-snapshots.fixture.ts'

type CloneOrders = 'linkMachineDisks' | 'linkDisks' | 'flattenVolume'

/** How often it is asked for until it stands alone. */
const looksUntilAlone = 3

export function fakeClones({
  disks,
  layers,
  reach,
  held,
}: SnapshotFakes & { readonly disks: FakeDisks }): Pick<AgentPort, CloneOrders> {
  const looks = new Map<VolumeId, number>()
  const link = (links: readonly DiskLink[]) => {
    for (const { storageId, fromVolumeId, layerId, volumeId } of links) {
      if (!disks.places().includes(`${storageId} ${fromVolumeId}`))
        throw new DialtoneError('not-found', `there is no volume ${fromVolumeId}`)
      const isNeeded = [...layers.snapshots.values()].some((snapshot) =>
        snapshot.disks.some((disk) => disk.volumeId === fromVolumeId && disk.layerId === layerId),
      )
      if (!isNeeded) layers.violations.push(`${volumeId} begins with a layer of ${fromVolumeId} that no snapshot keeps`)
      disks.create({ volumeId, storageId })
      layers.links.set(volumeId, { fromVolumeId, layerId })
    }
  }
  return {
    linkMachineDisks: (spec, { authority, vmId, epoch, links }) =>
      reach({ spec, call: 'linkMachineDisks', authority }, (host) => {
        const { phase } = held(host, vmId, epoch)
        if (phase !== 'running' && phase !== 'paused') throw new DialtoneError('in-use', `it is ${phase}`)
        link(links)
      }),
    linkDisks: (spec, { authority, vmId, links }) =>
      reach({ spec, call: 'linkDisks', authority }, (host) => {
        if (isWriting(host.machines.get(vmId))) layers.violations.push(`${vmId} runs while its closed disks are linked`)
        link(links)
      }),
    flattenVolume: (spec, { authority, volumeId }) =>
      reach({ spec, call: 'flattenVolume', authority }, () => {
        const seen = (looks.get(volumeId) ?? 0) + 1
        looks.set(volumeId, seen)
        if (seen >= looksUntilAlone) layers.links.delete(volumeId)
        return { isDone: seen >= looksUntilAlone, progress: seen / looksUntilAlone }
      }),
  }
}
