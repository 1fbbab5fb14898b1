/** What Prometheus reads: hosts and machines, how they are and what they take, in its text format 0.0.4. Pure. */
import type { ClusterState, HostRecord, VmRecord } from '../../model/cluster-state.ts'
import type { Figures } from '../../model/figures.ts'

type Labels = Readonly<Record<string, string>>
type Sample = { readonly labels: Labels; readonly value: number }
export type MetricFamily = {
  readonly name: string
  readonly kind: 'gauge' | 'counter'
  readonly help: string
  readonly samples: readonly Sample[]
}

const mebibyte = 1_048_576

const figureMetrics: readonly {
  readonly name: string
  readonly help: string
  valueOf(figures: Figures): number
}[] = [
  { name: 'processors_used', help: 'Processors that are busy.', valueOf: ({ cpuPercent }) => cpuPercent / 100 },
  { name: 'memory_used_bytes', help: 'Memory in use.', valueOf: ({ memoryMiB }) => memoryMiB * mebibyte },
  {
    name: 'disk_read_bytes_per_second',
    help: 'Read from disks.',
    valueOf: ({ diskReadKiBPerSecond }) => diskReadKiBPerSecond * 1024,
  },
  {
    name: 'disk_write_bytes_per_second',
    help: 'Written to disks.',
    valueOf: ({ diskWriteKiBPerSecond }) => diskWriteKiBPerSecond * 1024,
  },
  {
    name: 'network_in_bytes_per_second',
    help: 'Sent to it over the network.',
    valueOf: ({ networkInKiBPerSecond }) => networkInKiBPerSecond * 1024,
  },
  {
    name: 'network_out_bytes_per_second',
    help: 'Sent by it over the network.',
    valueOf: ({ networkOutKiBPerSecond }) => networkOutKiBPerSecond * 1024,
  },
  {
    name: 'longest_pause_seconds',
    help: 'The longest time for which it stood still between two measurements.',
    valueOf: ({ pauseMs }) => pauseMs / 1000,
  },
]

/** `newest`: the figures of a host or machine, by its id; undefined for one that is silent, whose figures are left out. */
export function metricFamilies(
  state: ClusterState,
  newest: (id: string) => Figures | undefined,
): readonly MetricFamily[] {
  const hosts = [...state.hosts.values()].map((host) => ({ host, labels: { host: host.spec.name } }))
  const vms = [...state.vms.values()].map((vm) => ({ vm, labels: labelsOf(state, vm) }))
  const ofHosts = (name: string, help: string, valueOf: (host: HostRecord) => number): MetricFamily => ({
    name: `dialtone_host_${name}`,
    kind: 'gauge',
    help,
    samples: hosts.map(({ host, labels }) => ({ labels, value: valueOf(host) })),
  })
  const ofVms = (name: string, help: string, valueOf: (vm: VmRecord) => number): MetricFamily => ({
    name: `dialtone_vm_${name}`,
    kind: 'gauge',
    help,
    samples: vms.map(({ vm, labels }) => ({ labels, value: valueOf(vm) })),
  })
  const measured = (subjects: readonly { readonly id: string; readonly labels: Labels }[], noun: string) =>
    figureMetrics.map(({ name, help, valueOf }): MetricFamily => {
      const samples = subjects.flatMap(({ id, labels }) => {
        const figures = newest(id)
        return figures === undefined ? [] : [{ labels, value: valueOf(figures) }]
      })
      return { name: `dialtone_${noun}_${name}`, kind: 'gauge', help, samples }
    })
  return [
    ofHosts('online', '1 while the host is online.', ({ status }) => (status.state === 'online' ? 1 : 0)),
    ofHosts('processors', 'Processors of the host.', ({ status }) => status.cpus),
    ofHosts('memory_bytes', 'Memory of the host.', ({ status }) => status.memoryMiB * mebibyte),
    ...measured(
      hosts.map(({ host, labels }) => ({ id: host.spec.id, labels })),
      'host',
    ),
    ofVms('running', '1 while the machine runs.', ({ status }) => (status?.state === 'running' ? 1 : 0)),
    ofVms('processors', 'Processors that the machine is to have.', ({ spec }) => spec.cpus),
    ofVms('memory_bytes', 'Memory that the machine is to have.', ({ spec }) => spec.memoryMiB * mebibyte),
    ...measured(
      vms.map(({ vm, labels }) => ({ id: vm.spec.id, labels })),
      'vm',
    ),
    tasksUnderWay(state),
  ]
}

/** The families as text; one without a sample is still named, so that whoever looks for it knows that it is there. */
export function writeMetrics(families: readonly MetricFamily[]): string {
  return families
    .map(({ name, kind, help, samples }) => {
      const lines = samples.map(({ labels, value }) => `${name}${writeLabels(labels)} ${value}\n`)
      return `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n${lines.join('')}`
    })
    .join('')
}

function writeLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function labelsOf(state: ClusterState, { spec, placement }: VmRecord): Labels {
  const host = placement === null || placement === undefined ? undefined : state.hosts.get(placement.hostId)
  return { vm: spec.name, host: host?.spec.name ?? '' }
}

function tasksUnderWay({ tasks }: ClusterState): MetricFamily {
  const value = [...tasks.values()].filter(({ endedAt }) => endedAt === null).length
  return {
    name: 'dialtone_tasks_under_way',
    kind: 'gauge',
    help: 'Tasks that have not ended.',
    samples: [{ labels: {}, value }],
  }
}
