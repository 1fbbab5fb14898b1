/** Asks every host that can be asked what it holds, and one host of each storage what lies there. */
import type { Inventory } from '../../model/agent-protocol/agent-contract.ts'
import type { ClusterState } from '../../model/cluster-state.ts'
import type { HostSpec } from '../../model/host.ts'
import type { HostId, StorageId } from '../../model/ids.ts'
import type {
  HostTestimony,
  Introduction,
  StorageTestimony,
  Testimony,
  VolumeContents,
} from '../../model/rebuild/testimony.ts'
import type { StorageSpec } from '../../model/storage.ts'

/** Both throw when the host does not answer, or can't read the storage. */
export type Witnesses = {
  inventory(host: HostSpec): Promise<Pick<Inventory, 'machines'>>
  storageContents(host: HostSpec, storageId: StorageId): Promise<{ readonly volumes: readonly VolumeContents[] }>
}

export type GatherOptions = {
  readonly witnesses: Witnesses
  readonly introductions: ReadonlyMap<HostId, Introduction>
  /** The time of this moment. */
  readonly at: string
}

type Witness = {
  readonly spec: HostSpec
  readonly introduction: Introduction | null
  /** Its number as it was told; null when it was never told one. */
  readonly number: number | null
  readonly storages: readonly StorageSpec[]
}

export async function gatherTestimony(cluster: ClusterState, options: GatherOptions): Promise<Testimony> {
  const witnesses = witnessesOf(cluster, options)
  const heard = await Promise.all(
    witnesses.map(async (witness): Promise<{ witness: Witness; testimony: HostTestimony }> => {
      const reports = await options.witnesses.inventory(witness.spec).then(
        ({ machines }) => machines,
        () => undefined,
      )
      const { id, name, address, port } = witness.spec
      const host = { id, name, address, port, number: witness.number }
      return { witness, testimony: { host, introduction: witness.introduction, reports } }
    }),
  )
  const read = await readStorages(
    heard.flatMap(({ witness, testimony }) => (testimony.reports === undefined ? [] : [witness])),
    options.witnesses,
  )
  const told = new Map(witnesses.flatMap(({ storages }) => storages).map((storage) => [storage.id, storage]))
  const unread = [...told.values()].flatMap((storage) => {
    if (read.storages.some((one) => one.storage.id === storage.id)) return []
    return [{ storage, why: read.failures.get(storage.id) ?? 'no host that has it answers' }]
  })
  return { hosts: heard.map(({ testimony }) => testimony), storages: read.storages, unread }
}

function witnessesOf(cluster: ClusterState, { introductions, at }: GatherOptions): readonly Witness[] {
  const present = [...cluster.hosts.values()].map(({ spec, status }): Witness => {
    const storages = status.storageIds.flatMap((storageId) => cluster.storages.get(storageId) ?? [])
    return { spec, introduction: null, number: spec.number, storages }
  })
  const strangers = [...introductions]
    .filter(([hostId]) => !cluster.hosts.has(hostId))
    .map(([hostId, introduction]): Witness => {
      const { hostName, address, port, configuration } = introduction
      const number = configuration?.storages[0]?.slot ?? null
      // Its number is asked by nobody here.
      const identity = { id: hostId, name: hostName, address, port, number: number ?? 1 }
      const spec: HostSpec = { ...identity, joinedAt: at, fence: null, labels: {}, maintenance: null }
      const storages = (configuration?.storages ?? []).map(
        ({ storageId, name, kind, path, shared }): StorageSpec => ({
          ...{ id: storageId, name, kind, path, shared },
          ...{ hostId: shared ? null : hostId, createdAt: at },
        }),
      )
      return { spec, introduction, number, storages }
    })
  return [...present, ...strangers].toSorted((left, right) => left.spec.name.localeCompare(right.spec.name))
}

/** Each by the first host that can. */
async function readStorages(
  witnesses: readonly Witness[],
  asked: Witnesses,
): Promise<{ readonly storages: readonly StorageTestimony[]; readonly failures: ReadonlyMap<StorageId, string> }> {
  const storages = new Map<StorageId, StorageTestimony>()
  const failures = new Map<StorageId, string>()
  for (const { spec, storages: its } of witnesses) {
    for (const storage of its) {
      if (storages.has(storage.id)) continue
      try {
        const { volumes } = await asked.storageContents(spec, storage.id)
        storages.set(storage.id, { storage, readBy: spec.id, volumes })
      } catch (error) {
        failures.set(storage.id, `${spec.name}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }
  return { storages: [...storages.values()], failures }
}
