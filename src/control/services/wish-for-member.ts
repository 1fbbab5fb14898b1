/** The machine that a replica of a service is to be. */
import type { ServiceId } from '../../model/ids.ts'
import { memberName } from '../../model/service/service.ts'
import type { ServiceFile } from '../../model/service/service-file.ts'
import type { VmWish } from '../admit-vm.ts'
import { recoveryOf } from './judge-objective.ts'
import { wavesOf } from './start-waves.ts'

/** After a cold start of the cloud, too, components start in the order of the service. */
const firstStartOrder = 100
const lastStartOrder = 1_000

/** Undefined when the file has no such component. */
export function wishForMember(
  file: ServiceFile,
  {
    serviceId,
    component: name,
    replica,
  }: { readonly serviceId: ServiceId; readonly component: string; readonly replica: number },
): VmWish | undefined {
  const component = file.components[name]
  if (component === undefined) return undefined
  const { template, cpus, memoryMiB, networks, address, probe, drillable } = component
  const replicaOf = { key: 'replica-of', value: `${file.service}.${name}` }
  return {
    name: memberName(file.service, name, replica),
    template,
    cpus,
    memoryMiB,
    disks: component.disks.map(({ sizeMiB }) => ({ sizeMiB, format: 'qcow2' })),
    networks: networks?.map((network) => ({ network })),
    address,
    guest: {},
    isos: [],
    cloudInit: null,
    ha: component.ha ?? file.ha,
    autostart: true,
    startOrder: Math.min(lastStartOrder, firstStartOrder + (wavesOf(file.components).get(name) ?? 0)),
    start: true,
    extraCommandLine: '',
    recovery: recoveryOf(file, component),
    ...(probe === undefined ? {} : { probe }),
    drillable,
    // Replicas go to different hosts where there are several.
    placementRules: {
      labels: { service: file.service, component: name, [replicaOf.key]: replicaOf.value },
      rules: [],
      spread: { label: replicaOf, over: null },
    },
    membership: { serviceId, component: name, replica },
  }
}
