/** Answers about placement and planned work, for tests of the command line. */
import type { ApiContract } from '../../model/api/contract.ts'
import type { HostView, VmView } from '../../model/api/views.ts'
import type { ClusterDump } from '../../model/cluster-dump.ts'
import type { MaintenancePlan } from '../../model/maintenance.ts'
import type { Plan } from '../../model/plan.ts'
import { defaultTimings } from '../../model/timings.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { makeHostView, makeTaskView, makeVmView } from './views.ts'

type PlanningHandlers = Pick<
  Handlers<ApiContract>,
  | 'getVmPlacement'
  | 'setVmPlacement'
  | 'changeHostLabels'
  | 'getReserve'
  | 'setReserve'
  | 'getPlan'
  | 'planMaintenance'
  | 'beginMaintenance'
  | 'endMaintenance'
  | 'updateHosts'
  | 'dumpCluster'
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
    planMaintenance: () => ({ hostName: host().name, moves, warnings: ['meanwhile the reserve is not whole'] }),
    beginMaintenance: ({ body }) => {
      situation.changes.push(`maintenance ${JSON.stringify(body)}`)
      return { host: host(), task: makeTaskView({ kind: 'host.maintenance', subject: host().name }) }
    },
    updateHosts: ({ body }) => {
      situation.changes.push(`update ${JSON.stringify(body)}`)
      return { task: makeTaskView({ kind: 'host.rolling-update' }), hostNames: body.hosts ?? [] }
    },
    endMaintenance: () => ({ host: host(), startedVms: ['db'] }),
    getPlan: ({ query }) => makePlan(query.ifHostDies),
    dumpCluster: () => makeDump(),
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

const moves: MaintenancePlan['moves'] = [
  { vmName: 'web', way: 'migrate', toHostName: 'node2', reason: 'node2 fits best', refusals: [] },
  { vmName: 'db', way: 'refused', toHostName: null, reason: 'its disk is local to this host', refusals: [] },
]

function makePlan(hostName: string | undefined): Plan {
  const web = { vmName: 'web', hostName: 'node1', state: 'running', brokenRules: [], standby: '' }
  return {
    takenAt: '2026-03-01T12:00:00.000Z',
    revision: 40,
    reserve: 'no reserve for failing hosts is kept',
    vms: [
      { ...web, decision: 'settled', toHostName: null, reason: 'node1 fits best', refusals: [] },
      {
        ...web,
        vmName: 'db',
        hostName: null,
        state: 'waiting',
        decision: 'wait',
        toHostName: null,
        reason: 'no host fits',
        refusals: [{ hostName: 'node2', reason: 'needs 304 MiB' }],
      },
    ],
    ifHostDies:
      hostName === undefined
        ? null
        : {
            hostName,
            proof: 'its power fence switches it off',
            provenAfterMs: null,
            recovered: [
              {
                vmName: 'web',
                toHostName: 'node2',
                way: 'warm-standby',
                expectedMs: 1_500,
                loses: 'nothing on disk',
                reason: 'node2 fits best',
              },
            ],
            notRecovered: [{ vmName: 'db', reason: 'it has no HA', refusals: [] }],
            losesStandby: ['shop'],
          },
  }
}

function makeDump(): ClusterDump {
  const {
    status,
    silentMs: _silent,
    usedMemoryMiB: _memory,
    usedCpus: _cpus,
    vmNames: _names,
    ...spec
  } = makeHostView()
  return {
    format: 'dialtone-dump-1',
    takenAt: '2026-03-01T12:00:00.000Z',
    revision: 40,
    cluster: {
      id: 'b5f7c2a0-1d0e-4b43-9d1c-0c5f3e6a7b80',
      name: 'lab',
      createdAt: '2026-03-01T11:00:00.000Z',
      timings: defaultTimings,
      formerTimings: null,
      hostFailuresToTolerate: 0,
    },
    network: null,
    hosts: [{ spec, status, statistics: null }],
    vms: [],
    storages: [],
    securityGroups: [],
    networks: [],
    isos: [],
    templates: [],
  }
}
