/**
 * Writes down what a rebuild has found, each thing with its claims in one transaction, in an order in which nothing is done with a half of it:
 * hosts come last. What has come into being meanwhile is left alone and told; doing it again enters what is missing.
 */
import { makeId, sessionIdSchema, type VmId } from '../../model/ids.ts'
import { nicsOf } from '../../model/network.ts'
import type { RebuildEntries, VmEntry } from '../../model/rebuild/rebuild-plan.ts'
import type { Snapshot } from '../../model/snapshots/snapshot.ts'
import type { StorageSpec } from '../../model/storage.ts'
import type { VmPlacement, VmStatus } from '../../model/vm.ts'
import type { Write } from '../../store/store.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import type { KeptManifest } from '../manifests/keep-manifests.ts'
import { addressClaimOf, enterNetworks } from '../networks/card-claims.ts'
import { keys } from '../state/keys.ts'

export type EnteredRebuild = {
  /** `vm web`, `host h1` … in the order of their entry. */
  readonly entered: readonly string[]
  /** Those for which somebody else has taken a name, an address or an id meanwhile. */
  readonly refused: readonly string[]
}

type Thing = {
  readonly what: string
  /** Keys that must not be there yet, and what stands there then. */
  readonly made: readonly Extract<Write, { readonly kind: 'put' }>[]
  readonly more?: readonly Write[]
  readonly conditions?: readonly ReturnType<typeof unchanged>[]
}

export async function enterRebuilt(
  leader: Leader,
  entries: RebuildEntries,
  { user }: { readonly user: string },
): Promise<EnteredRebuild> {
  const entered: string[] = []
  const refused: string[] = []
  for (const thing of thingsOf(leader, entries, user)) {
    const { what, made, more = [], conditions = [] } = thing()
    const absent = made.map(({ key }) => ({ key, modRevision: 0 }))
    const result = await commitAndSee(leader, {
      conditions: [...absent, ...conditions],
      writes: [...made, ...more],
    })
    if (result.kind === 'committed') entered.push(what)
    else refused.push(what)
  }
  leader.logger.info('cluster.rebuilt', { user, entered: entered.length, refused })
  return { entered, refused }
}

/** Each is looked at when its turn comes, with what was written before it. */
function thingsOf(leader: Leader, entries: RebuildEntries, user: string): readonly (() => Thing)[] {
  const { flatNetwork, formerTimings } = entries
  return [
    ...(formerTimings === null ? [] : [() => timingsThing(leader, formerTimings)]),
    ...(flatNetwork === null ? [] : [() => ({ what: 'network flat', made: [made(keys.network, flatNetwork)] })]),
    ...entries.networks.map((network) => () => ({
      what: `network ${network.name}`,
      made: [
        made(keys.nameClaim('network', network.name), network.id),
        made(keys.numberClaim('network', network.number), network.id),
        made(keys.virtualNetwork(network.id), network),
      ],
    })),
    ...entries.securityGroups.map((group) => () => ({
      what: `security-group ${group.name}`,
      made: [made(keys.nameClaim('security-group', group.name), group.id), made(keys.securityGroup(group.id), group)],
    })),
    ...entries.storages.map((storage) => () => ({
      what: `storage ${storage.name}`,
      made: [
        made(keys.nameClaim('storage', claimedName(storage, entries, leader)), storage.id),
        made(keys.storage(storage.id), storage),
      ],
    })),
    ...entries.vms.map((entry) => () => vmThing(leader, entry, user)),
    ...entries.snapshots.map(
      ({ vmId, snapshot }) =>
        () =>
          snapshotThing(leader, vmId, snapshot),
    ),
    ...entries.hosts.map((host) => () => ({
      what: `host ${host.name}`,
      made: [
        made(keys.nameClaim('host', host.name), host.id),
        made(keys.numberClaim('host', host.number), host.id),
        made(keys.host(host.id), host),
      ],
      more: [
        leader.events.write({
          kind: 'host.rebuilt',
          subject: host.name,
          message: `entered anew by ${user}`,
          hostId: host.id,
          user,
        }),
      ],
    })),
  ]
}

function timingsThing(leader: Leader, formerTimings: NonNullable<RebuildEntries['formerTimings']>): Thing {
  const { cluster } = leader.index.state()
  return {
    what: 'timings that hosts count with',
    made: [],
    more: [put(keys.cluster, { ...cluster, formerTimings })],
    conditions: [unchanged(leader, keys.cluster)],
  }
}

/** As `joinHost` and `createStorage` have it: a local storage has the same name on every host. */
function claimedName({ name, hostId }: StorageSpec, { hosts }: RebuildEntries, leader: Leader): string {
  if (hostId === null) return name
  const host = hosts.find(({ id }) => id === hostId) ?? leader.index.state().hosts.get(hostId)?.spec
  return `${host?.name ?? hostId}/${name}`
}

function vmThing(leader: Leader, { spec, ...entry }: VmEntry, user: string): Thing {
  const nics = nicsOf(spec)
  const networks = enterNetworks(leader, spec.id, nics)
  const manifest: KeptManifest = { version: entry.version, basis: '' }
  const event = leader.events.write({
    kind: 'vm.rebuilt',
    subject: spec.name,
    message: `entered anew from its manifest (epoch ${entry.version.epoch}, revision ${entry.version.revision})`,
    vmId: spec.id,
    user,
  })
  return {
    what: `vm ${spec.name}`,
    conditions: networks.conditions,
    made: [
      made(keys.nameClaim('vm', spec.name), spec.id),
      made(keys.numberClaim('vm', spec.number), spec.id),
      ...nics.map((nic) => made(addressClaimOf(nic), spec.id)),
      made(keys.vm(spec.id), spec),
      ...(entry.placement === null ? [] : [made(keys.vmPlacement(spec.id), placementOf(leader, entry.placement))]),
      made(keys.vmStatus(spec.id), statusOf(leader, spec, entry.placement)),
      ...entry.volumes.map((volume) => made(keys.volume(volume.id), volume)),
      ...entry.snapshots.map((snapshot) => made(keys.snapshot(snapshot.id), snapshot)),
      ...(entry.snapshotSchedule === null ? [] : [made(keys.vmSnapshotSchedule(spec.id), entry.snapshotSchedule)]),
    ],
    more: [...networks.writes, put(keys.manifest(spec.id), manifest), event],
  }
}

function snapshotThing(leader: Leader, vmId: VmId, snapshot: Snapshot): Thing {
  return {
    what: `snapshot ${snapshot.name}`,
    conditions: [unchanged(leader, keys.vm(vmId))],
    made: [made(keys.snapshot(snapshot.id), snapshot)],
  }
}

/** Where it was last: a guess until its hosts have told. Its session and boot are nobody's. */
function placementOf(leader: Leader, { hostId, epoch }: NonNullable<VmEntry['placement']>): VmPlacement {
  return {
    hostId,
    epoch,
    session: makeId('ses', sessionIdSchema, leader.randomBytes(8)),
    bootId: '',
    leased: false,
    start: 'boot',
    term: leader.term,
    placedAt: leader.clock.wallTime().toISOString(),
    reason: 'it was there last, as far as its disks tell',
    proof: null,
    lastRecovery: null,
  }
}

function statusOf(leader: Leader, spec: VmEntry['spec'], placement: VmEntry['placement']): VmStatus {
  const isHeld = (spec.rebuilt?.awaits ?? []).length > 0
  return {
    state: isHeld ? 'unknown' : 'stopped',
    since: leader.clock.wallTime().toISOString(),
    hostId: placement?.hostId ?? null,
    epoch: placement?.epoch ?? 0,
    incarnation: 0,
    pid: null,
    detail: isHeld ? 'was entered anew, and it is not known yet where it is' : 'was entered anew, and runs nowhere',
    crashes: 0,
    recovery: null,
  }
}

function made(key: string, value: unknown): Extract<Write, { readonly kind: 'put' }> {
  return { kind: 'put', key, value: JSON.stringify(value) }
}
