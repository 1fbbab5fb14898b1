/** Answers about placement and planned work, for tests of the command line. */
import type { ApiContract } from '../../model/api/contract.ts'
import type { HostView, VmView } from '../../model/api/views.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { makeHostView, makeVmView } from './views.ts'

type PlanningHandlers = Pick<
  Handlers<ApiContract>,
  'getVmPlacement' | 'setVmPlacement' | 'changeHostLabels' | 'getReserve' | 'setReserve'
>

export function makePlanningHandlers(situation: {
  readonly vms: readonly VmView[]
  readonly hosts: readonly HostView[]
  readonly changes: string[]
}): PlanningHandlers {
  const vm = () => situation.vms[0] ?? makeVmView()
  const host = () => situation.hosts[0] ?? makeHostView()
  const placementOf = (placementRules: VmView['placementRules']) => ({
    vmName: vm().name,
    hostName: vm().hostName,
    placementRules,
    broken: [],
    verdicts: [{ hostId: host().id, hostName: host().name, fits: true, reason: '3968 MiB free', score: 1.5 }],
  })
  return {
    getVmPlacement: () => placementOf(vm().placementRules),
    setVmPlacement: ({ params, body }) => {
      situation.changes.push(`placement ${params.vm} ${JSON.stringify(body)}`)
      return placementOf(body)
    },
    getReserve: () => ({ hostFailuresToTolerate: 1, isKept: true, reason: '' }),
    setReserve: ({ body }) => {
      situation.changes.push(`reserve ${body.hostFailuresToTolerate}`)
      return { ...body, isKept: false, reason: 'if node1 died, no host would take web' }
    },
    changeHostLabels: ({ params, body }) => {
      situation.changes.push(`labels ${params.host} ${JSON.stringify(body)}`)
      return { ...host(), labels: body.set }
    },
  }
}
