/** A manifest for tests: of a VM with one disk on the shared storage, in the flat network. */
import { makeCluster, makeHost, makeStorage, makeVm, someTime, type VmChanges } from '../cluster-state.fixture.ts'
import { type ManifestVersion, type VmManifest, vmManifestSchema, withholdSecrets } from './vm-manifest.ts'

export type ManifestChanges = Partial<Omit<VmManifest, 'vm' | 'version'>> & {
  readonly vm?: VmChanges
  readonly version?: Partial<ManifestVersion>
  /** Where it is placed, under its epoch. */
  readonly on?: string
}

/** Epoch 5, revision 1; placed nowhere unless `on` names a host. */
export function makeManifest(name: string, { vm, version, on, ...changes }: ManifestChanges = {}): VmManifest {
  const { spec } = makeVm(name, vm)
  const { volumes, network } = makeCluster({ vms: [makeVm(name, vm)] })
  const epoch = version?.epoch ?? 5
  return vmManifestSchema.parse({
    formatVersion: 1,
    version: { epoch, revision: 1, ...version },
    writtenAt: someTime,
    clusterName: 'test',
    ...withholdSecrets(spec),
    placement: on === undefined ? null : { host: identityOf(on), epoch },
    volumes: [...volumes.values()],
    storages: [makeStorage('shared')],
    flatNetwork: network ?? null,
    networks: [],
    securityGroups: [],
    snapshotSchedule: null,
    ...changes,
  })
}

export function identityOf(hostName: string) {
  const { id, name, number, address, port } = makeHost(hostName).spec
  return { id, name, number, address, port }
}
