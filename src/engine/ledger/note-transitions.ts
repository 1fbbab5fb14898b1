/**
 * Enters in the ledger what this controller learns: hosts that fall silent, come back or are proven dead, recoveries that are decided, and
 * what users want stopped. All of it is read from the changes of the stored state, wherever they were made.
 */
import type { HostRecord, VmRecord } from '../../model/cluster-state.ts'
import { type HostId, hostIdSchema, type VmId, vmIdSchema } from '../../model/ids.ts'
import type { ControllerFact } from '../../model/ledger/ledger-entry.ts'
import type { HostTable } from '../hosts/host-table.ts'
import type { Leader } from '../leader.ts'
import type { LedgerKeeper } from './keep-ledger.ts'

type Tools = { readonly leader: Leader; readonly ledger: LedgerKeeper; readonly table: HostTable }

/** From now on, until the leader's signal aborts. */
export function noteTransitions(tools: Tools): void {
  const { leader } = tools
  const hosts = new Map(leader.index.state().hosts)
  const vms = new Map(leader.index.state().vms)
  leader.index.onChange((touched) => {
    for (const { noun, id } of touched) {
      if (noun === 'host') noteHost(tools, hosts, hostIdSchema.parse(id))
      if (noun === 'vm') noteVm(tools, vms, vmIdSchema.parse(id))
    }
  })
}

function noteHost(tools: Tools, before: Map<HostId, HostRecord>, hostId: HostId): void {
  const now = tools.leader.index.state().hosts.get(hostId)
  const old = before.get(hostId)
  if (now === undefined) before.delete(hostId)
  else before.set(hostId, now)
  if (now === undefined || old === undefined) return
  for (const fact of hostFacts(tools, { hostId, old, now })) {
    for (const { spec, placement, standby } of tools.leader.index.state().vms.values()) {
      const isConcerned = placement?.hostId === hostId || standby?.hostId === hostId
      if (isConcerned) enter(tools, spec.id, fact)
    }
  }
}

function hostFacts(
  { leader, table }: Tools,
  { hostId, old, now }: { readonly hostId: HostId; readonly old: HostRecord; readonly now: HostRecord },
): readonly ControllerFact[] {
  const at = leader.clock.wallTime()
  const { silentMs } = table.observation(hostId, leader.clock.bootTimeMs())
  const lastHeardAt = Number.isFinite(silentMs) ? new Date(at.getTime() - silentMs).toISOString() : null
  const base = { at: at.toISOString(), hostId, lastHeardAt }
  const facts: ControllerFact[] = []
  const { session, bootId } = now.status
  // What ran there is known to be dead, also when nobody had to prove it: else nobody would know since when.
  const hasBooted = old.status.bootId !== null && bootId !== old.status.bootId && old.status.proof === null
  if (hasBooted) facts.push({ kind: 'host-proven-dead', ...base, proof: 'rebooted' })
  if (old.status.session !== null && session !== null && session !== old.status.session)
    facts.push({ kind: 'session-began', ...base, session })
  if (old.status.state !== now.status.state) {
    if (now.status.state === 'suspect') facts.push({ kind: 'host-suspect', ...base })
    if (now.status.state === 'online' && old.status.session === session)
      facts.push({ kind: 'host-heard', at: base.at, hostId })
  }
  if (now.status.proof !== null && old.status.proof === null)
    facts.push({ kind: 'host-proven-dead', ...base, proof: now.status.proof.kind })
  return facts
}

function noteVm(tools: Tools, before: Map<VmId, VmRecord>, vmId: VmId): void {
  const now = tools.leader.index.state().vms.get(vmId)
  const old = before.get(vmId)
  if (now === undefined) before.delete(vmId)
  else before.set(vmId, now)
  if (old === undefined) return
  if (now === undefined) {
    const at = tools.leader.clock.wallTime().toISOString()
    if (old.spec.lifecycle === 'deleting') enter(tools, vmId, { kind: 'planned-ended', at, what: 'delete', user: null })
    return
  }
  for (const fact of vmFacts(tools.leader, old, now)) enter(tools, vmId, fact)
}

function vmFacts({ clock }: Leader, old: VmRecord, now: VmRecord): readonly ControllerFact[] {
  const at = clock.wallTime().toISOString()
  const facts: ControllerFact[] = []
  const wasWanted = old.spec.desired !== 'stopped'
  const isWanted = now.spec.desired !== 'stopped'
  const isDeleted = now.spec.lifecycle === 'deleting' && old.spec.lifecycle !== 'deleting'
  if (isDeleted) facts.push({ kind: 'planned-began', at, what: 'delete', user: null })
  else if (wasWanted && !isWanted) facts.push({ kind: 'planned-began', at, what: 'stop', user: null })
  if (!wasWanted && isWanted) facts.push({ kind: 'planned-ended', at, what: 'stop', user: null })
  const { placement } = now
  const isRecovery =
    placement !== undefined &&
    placement.lastRecovery?.at === placement.placedAt &&
    placement.epoch !== old.placement?.epoch
  if (isRecovery) {
    const fromHostId = old.placement?.hostId ?? null
    const isElsewhere = fromHostId !== placement.hostId
    const rung = placement.start === 'boot' ? 'boot' : isElsewhere ? 'resume-elsewhere' : 'resume-here'
    facts.push({ kind: 'decided', at, fromHostId, toHostId: placement.hostId, rung, reason: placement.reason })
  }
  return facts
}

function enter({ leader, ledger }: Tools, vmId: VmId, fact: ControllerFact): void {
  ledger.note(vmId, fact).catch((error: unknown) => {
    if (!leader.signal.aborted) leader.logger.warn('ledger.fact-not-entered', { vmId, error })
  })
}
