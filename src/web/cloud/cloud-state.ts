/** The cloud as the console knows it, kept current by the controller's stream of changes. Pure: the same changes give the same cloud. */
import {
  type ClusterView,
  type EventView,
  eventViewSchema,
  type HostView,
  hostViewSchema,
  type StorageView,
  storageViewSchema,
  type TaskView,
  taskViewSchema,
  templateViewSchema,
  type VmView,
  vmViewSchema,
} from '../../model/api/views.ts'
import type { TemplateSpec } from '../../model/cluster.ts'

export type CloudState = {
  readonly cluster: ClusterView
  readonly vms: ReadonlyMap<string, VmView>
  readonly hosts: ReadonlyMap<string, HostView>
  readonly storages: ReadonlyMap<string, StorageView>
  readonly templates: ReadonlyMap<string, TemplateSpec>
  readonly tasks: ReadonlyMap<string, TaskView>
  /** Newest first. */
  readonly events: readonly EventView[]
}

/** As `watch` sends it. */
export type CloudChange = {
  readonly noun: string
  readonly id: string
  readonly change: 'put' | 'delete'
  readonly object: unknown
}

/** So many of them are kept. */
export const keptEvents = 1000

/** The cloud after these changes, in their order. What this version does not know is left out. */
export function applyChanges(state: CloudState, changes: readonly CloudChange[]): CloudState {
  const tables = {
    vm: changedTable(state.vms, ofNoun(changes, 'vm'), (object) => vmViewSchema.parse(object)),
    host: changedTable(state.hosts, ofNoun(changes, 'host'), (object) => hostViewSchema.parse(object)),
    storage: changedTable(state.storages, ofNoun(changes, 'storage'), (object) => storageViewSchema.parse(object)),
    template: changedTable(state.templates, ofNoun(changes, 'template'), (object) => templateViewSchema.parse(object)),
    task: changedTable(state.tasks, ofNoun(changes, 'task'), (object) => taskViewSchema.parse(object)),
  }
  return {
    cluster: state.cluster,
    vms: tables.vm,
    hosts: tables.host,
    storages: tables.storage,
    templates: tables.template,
    tasks: tables.task,
    events: withEvents(state.events, ofNoun(changes, 'event')),
  }
}

/** Memory and processors that are given to machines of a host. What the host itself reports is told only when the host changes. */
export function usageOf(
  state: Pick<CloudState, 'vms'>,
  host: HostView,
): { readonly memoryMiB: number; readonly cpus: number; readonly vms: readonly VmView[] } {
  const vms = [...state.vms.values()].filter(
    ({ placement, status }) => placement?.hostId === host.id && status.state !== 'stopped',
  )
  const sum = (figure: (vm: VmView) => number) => vms.reduce((total, vm) => total + figure(vm), 0)
  return { memoryMiB: sum((vm) => vm.memoryMiB), cpus: sum((vm) => vm.cpus), vms }
}

function ofNoun(changes: readonly CloudChange[], noun: string): readonly CloudChange[] {
  return changes.filter((change) => change.noun === noun)
}

function changedTable<T>(
  table: ReadonlyMap<string, T>,
  changes: readonly CloudChange[],
  parse: (object: unknown) => T,
): ReadonlyMap<string, T> {
  if (changes.length === 0) return table
  const changed = new Map(table)
  for (const { id, change, object } of changes) {
    if (change === 'delete') changed.delete(id)
    else changed.set(id, parse(object))
  }
  return changed
}

/** An event may come twice: in the list that was loaded, and in the stream from the revision before it. */
function withEvents(events: readonly EventView[], changes: readonly CloudChange[]): readonly EventView[] {
  const known = new Set(events.slice(0, 100).map(({ revision, at }) => `${revision} ${at}`))
  const added = changes
    .filter(({ change }) => change === 'put')
    .map(({ object }) => eventViewSchema.parse(object))
    .filter(({ revision, at }) => !known.has(`${revision} ${at}`))
  return added.length === 0 ? events : [...added.reverse(), ...events].slice(0, keptEvents)
}
