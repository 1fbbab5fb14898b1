/** Labels, rules of placement, and what each host says to a machine. */

import { placeVm } from '../../control/place-vm.ts'
import { brokenRules } from '../../control/placement/judge-rules.ts'
import { commitAndSee, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { PlacementView, placementRoutes } from '../../model/api/placement-routes.ts'
import { describeLabels, type Labels } from '../../model/labels.ts'
import { describePlacementRules } from '../../model/placement-rules.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findHost, findVm } from './api-context.ts'
import { viewOfHost } from './host-handlers.ts'

export function placementHandlers(context: ApiContext): Handlers<typeof placementRoutes> {
  const { leader } = context.engine
  return {
    getVmPlacement: ({ params }) => placementOf(context, params.vm),
    async setVmPlacement({ params, body }, caller) {
      return untilCommitted(params.vm, async () => {
        const { spec } = findVm(context, params.vm)
        refuseUnknownHosts(context, body)
        const message = `${caller.name} set its rules of placement: ${describePlacementRules(body)}`
        const event = leader.events.write({
          kind: 'vm.placement-set',
          subject: spec.name,
          message,
          vmId: spec.id,
          user: caller.name,
        })
        const result = await commitAndSee(leader, {
          conditions: [unchanged(leader, keys.vm(spec.id))],
          writes: [put(keys.vm(spec.id), { ...spec, placementRules: body }), event],
        })
        return result.kind === 'committed' ? placementOf(context, spec.id) : undefined
      })
    },
    async changeHostLabels({ params, body }, caller) {
      return untilCommitted(params.host, async () => {
        const { spec } = findHost(context, params.host)
        const labels = changedLabels(spec.labels, body)
        const event = leader.events.write({
          kind: 'host.labels-set',
          subject: spec.name,
          message: `${caller.name} set its labels: ${describeLabels(labels)}`,
          hostId: spec.id,
          user: caller.name,
        })
        const result = await commitAndSee(leader, {
          conditions: [unchanged(leader, keys.host(spec.id))],
          writes: [put(keys.host(spec.id), { ...spec, labels }), event],
        })
        return result.kind === 'committed' ? viewOfHost(context, spec.id) : undefined
      })
    },
  }
}

function placementOf(context: ApiContext, reference: string): PlacementView {
  const state = context.engine.leader.index.state()
  const vm = findVm(context, reference)
  const { spec, placement } = vm
  return {
    vmName: spec.name,
    hostName: placement === undefined ? null : (state.hosts.get(placement.hostId)?.spec.name ?? null),
    placementRules: spec.placementRules,
    broken: [...brokenRules(vm, state)],
    verdicts: [...placeVm(state, spec, { preferred: placement?.hostId }).verdicts],
  }
}

/** A rule about a host that isn't there is most likely misspelt. */
function refuseUnknownHosts(context: ApiContext, { rules }: PlacementView['placementRules']): void {
  for (const rule of rules) if ('hosts' in rule && 'host' in rule.hosts) findHost(context, rule.hosts.host)
}

function changedLabels(
  before: Labels,
  { set, remove }: { readonly set: Labels; readonly remove: readonly string[] },
): Labels {
  return Object.fromEntries(Object.entries({ ...before, ...set }).filter(([key]) => !remove.includes(key)))
}
