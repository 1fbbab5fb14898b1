/** The cluster into a dump, and out of it again. */
import type { ClusterDump } from '../../model/cluster-dump.ts'
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import type { LadderStatistics } from '../../model/recovery/ladder-statistics.ts'
import type { VmQuestion } from '../vm-decision.ts'

/** What a plan is made from. */
export type Planned = {
  readonly cluster: ClusterState
  /** What the leader knew of each machine at that moment. */
  readonly questions: ReadonlyMap<VmId, VmQuestion>
  readonly statistics: ReadonlyMap<HostId, LadderStatistics>
  readonly takenAt: string
  readonly revision: number
}

/** Without what is secret: parameters of power fences, kernel command lines, and what machines are told about themselves. */
export function dumpCluster({ cluster, questions, statistics, takenAt, revision }: Planned): ClusterDump {
  return {
    format: 'dialtone-dump-1',
    takenAt,
    revision,
    cluster: cluster.cluster,
    network: cluster.network ?? null,
    hosts: [...cluster.hosts.values()].map(({ spec, status }) => ({
      spec: { ...spec, fence: spec.fence === null ? null : { ...spec.fence, parameters: {} } },
      status,
      statistics: statistics.get(spec.id) ?? null,
    })),
    vms: [...cluster.vms.values()].map((vm) => ({
      spec: { ...vm.spec, extraCommandLine: '', cloudInit: null, note: '' },
      placement: vm.placement ?? null,
      status: vm.status ?? null,
      standby: vm.standby ?? null,
      migration: vm.migration ?? null,
      operation: vm.operation ?? null,
      knowledge: knowledgeOf(questions.get(vm.spec.id) ?? knowsNothing),
    })),
    storages: [...cluster.storages.values()],
    templates: [...cluster.templates.values()],
    securityGroups: [...cluster.securityGroups.values()],
    networks: [...cluster.networks.values()],
    isos: [...cluster.isos.values()],
  }
}

/** Nobody has reported: as a leader begins. */
const knowsNothing: VmQuestion = {
  report: undefined,
  hostHasReported: false,
  startOrder: 'not-given',
  strays: [],
  claims: [],
  released: undefined,
  startsOnHold: undefined,
  failures: { count: 0, lastAgoMs: Infinity },
  startOrderDue: Infinity,
  epochFloor: 0,
}

export function readDump(dump: ClusterDump): Planned {
  return {
    takenAt: dump.takenAt,
    revision: dump.revision,
    cluster: {
      cluster: dump.cluster,
      network: dump.network ?? undefined,
      hosts: new Map(dump.hosts.map(({ spec, status }) => [spec.id, { spec, status }])),
      vms: new Map(dump.vms.map((vm) => [vm.spec.id, recordOf(vm)])),
      storages: new Map(dump.storages.map((storage) => [storage.id, storage])),
      volumes: new Map(),
      templates: new Map(dump.templates.map((template) => [template.id, template])),
      networks: new Map(dump.networks.map((network) => [network.id, network])),
      securityGroups: new Map(dump.securityGroups.map((group) => [group.id, group])),
      snapshots: new Map(),
      tasks: new Map(),
      isos: new Map(dump.isos.map((iso) => [iso.id, iso])),
      discards: new Map(),
      services: new Map(),
    },
    questions: new Map(dump.vms.map(({ spec, knowledge }) => [spec.id, questionOf(knowledge)])),
    statistics: new Map(
      dump.hosts.flatMap(({ spec, statistics }) => (statistics === null ? [] : [[spec.id, statistics] as const])),
    ),
  }
}

type DumpedVm = ClusterDump['vms'][number]

function recordOf({ spec, placement, status, standby, migration, operation }: DumpedVm): VmRecord {
  return {
    spec,
    placement: placement ?? undefined,
    status: status ?? undefined,
    standby: standby ?? undefined,
    migration: migration ?? undefined,
    operation: operation ?? undefined,
  }
}

function knowledgeOf(question: VmQuestion): DumpedVm['knowledge'] {
  const { report, released, startsOnHold, failures, startOrderDue } = question
  return {
    ...question,
    report: report ?? null,
    strays: [...question.strays],
    claims: [...question.claims],
    released: released ?? null,
    startsOnHold: startsOnHold ?? null,
    failures: { count: failures.count, lastAgoMs: finite(failures.lastAgoMs) },
    startOrderDue: finite(startOrderDue),
  }
}

function questionOf(knowledge: DumpedVm['knowledge']): VmQuestion {
  const { report, released, startsOnHold, failures, startOrderDue } = knowledge
  return {
    ...knowledge,
    report: report ?? undefined,
    released: released ?? undefined,
    startsOnHold: startsOnHold ?? undefined,
    failures: { count: failures.count, lastAgoMs: failures.lastAgoMs ?? Infinity },
    startOrderDue: startOrderDue ?? Infinity,
  }
}

/** JSON knows no infinity. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}
