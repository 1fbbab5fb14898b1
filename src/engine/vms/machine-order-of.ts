/** Resolves a VM to what its agent is told to run. */
import type { VmRecord } from '../../model/cluster-state.ts'
import { flatNetworkId } from '../../model/ids.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import { nicsOf } from '../../model/network.ts'

export function machineOrderOf({ spec, placement }: VmRecord): MachineOrder {
  const [first, ...more] = nicsOf(spec)
  return {
    vmId: spec.id,
    name: spec.name,
    number: spec.number,
    hardware: spec.hardware,
    cpus: spec.cpus,
    memoryMiB: spec.memoryMiB,
    nic: {
      macAddress: spec.macAddress,
      address: spec.address,
      address6: first?.address6 ?? null,
      networkId: first?.networkId ?? flatNetworkId,
      mtu: first?.mtu ?? null,
    },
    disks: spec.disks.map(({ ...disk }) => disk),
    templateVersion: spec.templateVersion,
    extraCommandLine: spec.extraCommandLine,
    generationId: spec.generationId,
    leased: placement?.leased === true,
    recovery: spec.recovery,
    probe: spec.probe,
    start: placement?.start ?? 'boot',
    clonedFrom: spec.clonedFrom,
    isUntoldClone: spec.isUntoldClone,
    resumesFrom: spec.resumesFrom,
    moreNics: [...more],
    guest: spec.guest,
    cdroms: spec.cdroms,
    cloudInit: spec.cloudInit,
    growth: spec.growth,
    limits: spec.limits,
    present: null,
  }
}
