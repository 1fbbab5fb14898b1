/**
 * Keeps the manifest beside each disk of each machine true: after every change that it tells of, by a host that has the storage. What could
 * not be written is tried again, and told; nobody waits for it.
 */
import { z } from 'zod'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type VmId, vmIdSchema } from '../../model/ids.ts'
import { isUnsettled } from '../../model/rebuild/rebuilt-vm.ts'
import { compareVersions, type ManifestVersion, manifestVersionSchema } from '../../model/rebuild/vm-manifest.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { authorityOf, hostForStorage } from '../vms/host-for-storage.ts'
import { basisOf, composeManifest, epochOf } from './compose-manifest.ts'

export type ManifestKeeper = {
  /** To be called about twice a second. Begins what is due, and waits for none of it. */
  look(): void
  /** Machines whose manifest could not be written, each with the reason. */
  behind(): ReadonlyMap<VmId, string>
}

/** What was written last, and from what. */
export const keptManifestSchema = z.object({ version: manifestVersionSchema, basis: z.string() })
export type KeptManifest = z.infer<typeof keptManifestSchema>

const tryAgainMs = 2_000
/** What a look costs is bounded, however many machines there are. */
const comparedAtOnce = 1_000
const writtenAtOnce = 8

type Desk = {
  readonly leader: Leader
  readonly agents: Pick<AgentPort, 'writeManifest'>
  /** As the store has it at that revision. */
  readonly known: Map<VmId, { readonly kept: KeptManifest | undefined; readonly modRevision: number }>
}

export function createManifestKeeper(leader: Leader, agents: Pick<AgentPort, 'writeManifest'>): ManifestKeeper {
  const desk: Desk = { leader, agents, known: new Map() }
  const dirty = new Set<VmId>(leader.index.state().vms.keys())
  const busy = new Set<VmId>()
  const failed = new Map<VmId, { readonly why: string; readonly againAtMs: number }>()
  leader.index.onChange((touched) => {
    for (const { noun, id, key } of touched) {
      if (noun === 'vm' && !key.endsWith('/status')) dirty.add(vmIdSchema.parse(id))
      // Rare, and of any number of machines: each is compared.
      if (isPartOfMany(noun)) for (const vmId of leader.index.state().vms.keys()) dirty.add(vmId)
    }
  })

  const begin = (vm: VmRecord) => {
    const vmId = vm.spec.id
    busy.add(vmId)
    bringUpToDate(desk, vm)
      .then(
        () => failed.delete(vmId),
        (error: unknown) => {
          dirty.add(vmId)
          const why = error instanceof Error ? error.message : String(error)
          failed.set(vmId, { why, againAtMs: leader.clock.bootTimeMs() + tryAgainMs })
        },
      )
      .finally(() => busy.delete(vmId))
  }

  return {
    look() {
      const { vms } = leader.index.state()
      const nowMs = leader.clock.bootTimeMs()
      let compared = 0
      for (const vmId of dirty) {
        if (busy.has(vmId) || (failed.get(vmId)?.againAtMs ?? 0) > nowMs) continue
        if (busy.size >= writtenAtOnce || compared >= comparedAtOnce) return
        compared += 1
        dirty.delete(vmId)
        const vm = vms.get(vmId)
        if (vm === undefined) {
          failed.delete(vmId)
          desk.known.delete(vmId)
        } else if (isToBeWritten(vm)) begin(vm)
      }
    },
    behind: () => new Map([...failed].map(([vmId, { why }]) => [vmId, why])),
  }
}

/** One that is not known to be nowhere else, or is being made, has no manifest of this state. */
function isToBeWritten({ spec }: VmRecord): boolean {
  return spec.lifecycle === 'live' && !isUnsettled(spec)
}

function isPartOfMany(noun: string): boolean {
  return noun === 'network' || noun === 'storage' || noun === 'security-group'
}

/** Read once, and again when somebody else has written it. */
async function readKept({ leader, known }: Desk, vmId: VmId): Promise<KeptManifest | undefined> {
  const key = keys.manifest(vmId)
  const cached = known.get(vmId)
  if (cached !== undefined && cached.modRevision === leader.index.modRevision(key)) return cached.kept
  const entry = await leader.store.get(key)
  const kept = entry === undefined ? undefined : keptManifestSchema.parse(JSON.parse(entry.value))
  known.set(vmId, { kept, modRevision: entry?.modRevision ?? 0 })
  return kept
}

async function bringUpToDate(desk: Desk, { spec: { id } }: VmRecord): Promise<void> {
  const { leader, known } = desk
  const before = await readKept(desk, id)
  const vm = leader.index.state().vms.get(id)
  if (vm === undefined || !isToBeWritten(vm)) return
  const basis = basisOf(leader, vm)
  if (before?.basis === basis) return
  const conditions = [unchanged(leader, keys.vm(id)), unchanged(leader, keys.manifest(id))]
  const version = {
    epoch: Math.max(epochOf(vm), before?.version.epoch ?? 0),
    revision: (before?.version.revision ?? 0) + 1,
  }
  const newest = await writeEverywhere(desk, vm, version)
  const isNewest = compareVersions(newest, version) <= 0
  const kept = isNewest ? { version, basis } : { version: newest, basis: '' }
  const result = await commitAndSee(leader, { conditions, writes: [put(keys.manifest(id), kept)] })
  if (result.kind === 'conflict') throw new DialtoneError('conflict', 'it was changed at the same time')
  known.set(id, { kept, modRevision: result.revision })
  if (!isNewest) throw new DialtoneError('conflict', 'a newer one lies there, of a state that this one has forgotten')
}

/** Beside each of its disks; the newest version that lies beside any of them. */
async function writeEverywhere(
  { leader, agents }: Desk,
  vm: VmRecord,
  version: ManifestVersion,
): Promise<ManifestVersion> {
  const at = leader.clock.wallTime().toISOString()
  const manifest = composeManifest(leader.index.state(), vm, { version, at })
  let newest = version
  for (const { volumeId, storageId } of vm.spec.disks) {
    const host = hostForStorage(leader, storageId, vm.placement?.hostId)
    const authority = authorityOf(leader, host)
    const found = await agents.writeManifest(host.spec, { authority, volumeId, storageId, manifest })
    if (compareVersions(found, newest) > 0) newest = found
  }
  return newest
}
