/** Puts a host into maintenance and takes it out again: one write each, with all that belongs to it. */

import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Maintenance } from '../../model/host.ts'
import type { HostId } from '../../model/ids.ts'
import type { Write } from '../../store/store.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'

const attempts = 20

/** From now on it takes no machines. `withWrites` are committed with it. Nothing happens to a host that is in maintenance already. */
export async function enterMaintenance(
  leader: Leader,
  hostId: HostId,
  { user, withWrites = [] }: { readonly user: string; readonly withWrites?: readonly Write[] },
): Promise<void> {
  await changeHost(leader, hostId, (before) => {
    if (before !== null) return { maintenance: before, writes: withWrites }
    const maintenance = { since: leader.clock.wallTime().toISOString(), user, stoppedVmIds: [] }
    return { maintenance, writes: withWrites, event: `${user} put it into maintenance: it takes no machines` }
  })
}

/** It takes machines again, and those that were stopped for it start. Gives the names of these. */
export async function leaveMaintenance(leader: Leader, hostId: HostId, user: string): Promise<readonly string[]> {
  let started: readonly VmRecord[] = []
  await changeHost(leader, hostId, (before) => {
    if (before === null) return { maintenance: null, writes: [] }
    const { vms } = leader.index.state()
    started = before.stoppedVmIds.flatMap((vmId) => {
      const vm = vms.get(vmId)
      return vm !== undefined && vm.spec.desired === 'stopped' && vm.spec.lifecycle === 'live' ? [vm] : []
    })
    const writes = started.map(({ spec }) =>
      put(keys.vm(spec.id), { ...spec, desired: 'running', stopMode: 'shutdown' }),
    )
    const conditions = started.map(({ spec }) => unchanged(leader, keys.vm(spec.id)))
    return { maintenance: null, writes, conditions, event: `${user} ended its maintenance` }
  })
  return started.map(({ spec }) => spec.name)
}

/** Stops a machine until the maintenance ends: that it was stopped for it is noted in the same write. */
export async function stopForMaintenance(leader: Leader, hostId: HostId, { spec }: VmRecord): Promise<void> {
  await changeHost(leader, hostId, (before) => {
    const present = leader.index.state().vms.get(spec.id)?.spec
    if (before === null || present === undefined || present.desired === 'stopped') return undefined
    return {
      maintenance: { ...before, stoppedVmIds: [...new Set([...before.stoppedVmIds, spec.id])] },
      conditions: [unchanged(leader, keys.vm(spec.id))],
      writes: [put(keys.vm(spec.id), { ...present, desired: 'stopped', stopMode: 'shutdown' })],
    }
  })
}

type Change = {
  readonly maintenance: Maintenance | null
  readonly writes: readonly Write[]
  readonly conditions?: readonly ReturnType<typeof unchanged>[]
  readonly event?: string
}

async function changeHost(
  leader: Leader,
  hostId: HostId,
  change: (before: Maintenance | null) => Change | undefined,
): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const spec = leader.index.state().hosts.get(hostId)?.spec
    if (spec === undefined) throw new DialtoneError('not-found', 'the host was forgotten')
    const next = change(spec.maintenance)
    if (next === undefined) return
    const { maintenance, writes, conditions = [], event } = next
    const key = keys.host(hostId)
    const kind = maintenance === null ? 'host.maintenance-ended' : 'host.maintenance-began'
    const told = event === undefined ? [] : [leader.events.write({ kind, subject: spec.name, message: event, hostId })]
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, key), ...conditions],
      writes: [put(key, { ...spec, maintenance }), ...writes, ...told],
    })
    if (result.kind === 'committed') return
    await leader.clock.sleep(2)
  }
  throw new DialtoneError('conflict', 'the host is being changed by others at the same time')
}
