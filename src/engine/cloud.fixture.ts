/** A whole cloud in memory under virtual time: a store, fake hosts, and an engine that can be cut down and started anew. */

import { hostIdOf, makeCluster, makeHost, makeStorage, makeVm, type VmChanges } from '../model/cluster-state.fixture.ts'
import type { ClusterState, HostRecord, VmRecord } from '../model/cluster-state.ts'
import type { Armed, FenceConfiguration } from '../model/host.ts'
import type { TaskId, VmId } from '../model/ids.ts'
import { newLeaderWaitsMs } from '../model/protection/bounds.ts'
import type { Timings } from '../model/timings.ts'
import type { VmSpec } from '../model/vm.ts'
import { openMemoryStore } from '../store/memory/memory-store.ts'
import type { Store, Write } from '../store/store.ts'
import type { AgentPort } from './agent-port.ts'
import { type Engine, startEngine } from './engine.ts'
import { createFakeAgents, type FakeAgents } from './fake-agents.fixture.ts'
import { type Leader, put } from './leader.ts'
import type { MigrateVm } from './maintenance/migrate-vm.ts'
import { keys } from './state/keys.ts'
import type { RunnableSaga } from './tasks/saga.ts'
import type { TaskRunner } from './tasks/task-runner.ts'
import { createVirtualClock, type VirtualClock } from './virtual-clock.fixture.ts'

export type HostWish = { readonly name: string; readonly armed?: Armed; readonly hasPowerFence?: boolean }

export type CloudOptions = {
  readonly hosts: readonly HostWish[]
  readonly storages?: readonly string[]
  /** Each host has a storage of its own, too: `storageIdOf(NAME)`. */
  readonly hasLocalStorages?: boolean
  readonly timings?: Partial<Timings>
  moreSagas?(leader: Leader, tasks: () => TaskRunner, agents: AgentPort): readonly RunnableSaga[]
  migrateVm?(leader: Leader, tasks: () => TaskRunner, agents: AgentPort): MigrateVm
}

export type Cloud = AsyncDisposable & {
  readonly clock: VirtualClock
  readonly agents: FakeAgents
  store: Store
  engine(): Engine
  state(): ClusterState
  vm(vmId: VmId): VmRecord | undefined
  host(name: string): HostRecord
  /** Enters a VM and the task that makes it, as the API does. */
  create(name: string, changes?: VmChanges): Promise<{ readonly vmId: VmId; readonly taskId: TaskId }>
  /** Creates it and waits until it runs. */
  createRunning(name: string, changes?: VmChanges): Promise<VmId>
  change(vmId: VmId, changes: Partial<VmSpec>): Promise<void>
  delete(vmId: VmId): Promise<TaskId>
  begin(kind: string, journal: unknown): Promise<TaskId>
  taskState(taskId: TaskId): string | undefined
  /** Events so far, as `kind subject`. */
  events(): Promise<readonly string[]>
  /** Everything in the store that belongs to VMs. */
  leftovers(): Promise<readonly string[]>
  /** The controller dies at this moment. */
  crash(): void
  startEngine(): Promise<Engine>
}

/** A copy of what the store holds now, as a backup would have it. */
export async function copyOf(store: Store, incarnation: string): Promise<Store> {
  const copy = openMemoryStore({ createId: () => incarnation })
  const { entries } = await store.range('')
  for (const { key, value } of entries) await copy.commit({ conditions: [], writes: [{ kind: 'put', key, value }] })
  return copy
}

export const powerFence: FenceConfiguration = { agent: 'fence_virsh', parameters: {} }

/** All hosts are online, and the leader may judge them, when it resolves. */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const clock = createVirtualClock()
  const { migrateVm } = options
  const local = options.hasLocalStorages === true ? options.hosts : []
  const storages = [
    ...(options.storages ?? ['shared']).map((word) => makeStorage(word)),
    ...local.map(({ name }) => makeStorage(name, { name: 'local', shared: false, hostId: hostIdOf(name) })),
  ]
  const { cluster, network, templates } = makeCluster({ timings: options.timings ?? {} })
  const specs = options.hosts.map(({ name, hasPowerFence }, index) => ({
    ...makeHost(name).spec,
    number: index + 1,
    fence: hasPowerFence === true ? powerFence : null,
  }))
  const ended = new AbortController()
  let leading = new AbortController()
  let engine: Engine | undefined
  const agents = createFakeAgents({
    hosts: specs.map((spec, index) => ({ spec, armed: options.hosts[index]?.armed ?? 'soft' })),
    storages,
    timings: cluster.timings,
    clock,
    signal: ended.signal,
  })

  const store = openMemoryStore({ createId: () => 'history-1' })
  await store.commit({
    conditions: [],
    writes: [
      put(keys.cluster, cluster),
      put(keys.network, network),
      ...[...templates.values()].map((template) => put(keys.template(template.id), template)),
      ...storages.map((storage) => put(keys.storage(storage.id), storage)),
      ...specs.map((spec) => put(keys.host(spec.id), spec)),
    ],
  })

  const cloud: Cloud = {
    clock,
    agents,
    store,
    engine: () => {
      if (engine === undefined) throw new Error('no engine runs')
      return engine
    },
    state: () => cloud.engine().leader.index.state(),
    vm: (vmId) => cloud.state().vms.get(vmId),
    host: (name) => {
      const host = cloud.state().hosts.get(hostIdOf(name))
      if (host === undefined) throw new Error(`there is no host ${name}`)
      return host
    },
    async create(name, changes = {}) {
      const first = options.hosts[0]?.name ?? ''
      const { spec } = makeVm(name, { ...changes, spec: { lifecycle: 'creating', ...changes.spec } })
      const journal = { vmId: spec.id, hostId: hostIdOf(first), start: spec.desired === 'running' }
      const { tasks } = cloud.engine()
      const { task, write } = tasks.prepare({ kind: 'vm.create', subject: name, user: 'test', vmId: spec.id, journal })
      await cloud.store.commit({ conditions: [], writes: [write, ...writesOf(spec)] })
      await clock.advance(0)
      cloud.engine().tasks.begin(task.id)
      return { vmId: spec.id, taskId: task.id }
    },
    async createRunning(name, changes) {
      const { vmId } = await cloud.create(name, changes)
      await clock.until(`${name} runs`, () => cloud.vm(vmId)?.status?.state === 'running', 10_000)
      return vmId
    },
    async change(vmId, changes) {
      const vm = cloud.vm(vmId)
      if (vm !== undefined)
        await cloud.store.commit({ conditions: [], writes: [put(keys.vm(vmId), { ...vm.spec, ...changes })] })
      await clock.advance(0)
    },
    async delete(vmId) {
      await cloud.change(vmId, { lifecycle: 'deleting', desired: 'stopped' })
      return cloud.begin('vm.delete', { vmId })
    },
    async begin(kind, journal) {
      const { task, write } = cloud.engine().tasks.prepare({ kind, subject: 'it', user: 'test', journal })
      await cloud.store.commit({ conditions: [], writes: [write] })
      await clock.advance(0)
      cloud.engine().tasks.begin(task.id)
      return task.id
    },
    taskState: (taskId) => cloud.state().tasks.get(taskId)?.state,
    async events() {
      const { entries } = await cloud.store.range('event/')
      return entries.map(({ value }) => JSON.parse(value)).map(({ kind, subject }) => `${kind} ${subject}`)
    },
    async leftovers() {
      const prefixes = ['vm/', 'volume/', 'claim/', 'discard/']
      const ranges = await Promise.all(prefixes.map((prefix) => cloud.store.range(prefix)))
      return [...ranges.flatMap(({ entries }) => entries.map(({ key }) => key)), ...agents.volumes]
    },
    crash() {
      leading.abort()
      agents.receive = undefined
    },
    async startEngine() {
      leading = new AbortController()
      const started = await startEngine({
        store: cloud.store,
        clock,
        logger: { info() {}, warn() {}, error() {} },
        randomBytes: countingBytes(),
        agents: agents.port,
        fences: agents.fences,
        signal: leading.signal,
        moreSagas: (leader, tasks) => options.moreSagas?.(leader, tasks, agents.port) ?? [],
        ...(migrateVm === undefined
          ? {}
          : { migrateVm: (leader: Leader, tasks: () => TaskRunner) => migrateVm(leader, tasks, agents.port) }),
      })
      engine = started
      agents.receive = (hostId, heartbeat) => started.receiveHeartbeat(hostId, heartbeat)
      return started
    },
    async [Symbol.asyncDispose]() {
      leading.abort()
      ended.abort()
      await clock.advance(0)
    },
  }
  await cloud.startEngine()
  await clock.until('all hosts are online', () => specs.every(({ name }) => cloud.host(name).status.state === 'online'))
  await clock.advance(newLeaderWaitsMs(cluster.timings))
  return cloud
}

function writesOf(spec: VmSpec): Write[] {
  return [
    put(keys.vm(spec.id), spec),
    put(keys.nameClaim('vm', spec.name), spec.id),
    put(keys.addressClaim(spec.address), spec.id),
    put(keys.numberClaim('vm', spec.number), spec.id),
    ...spec.disks.map((disk) =>
      put(keys.volume(disk.volumeId), {
        id: disk.volumeId,
        storageId: disk.storageId,
        format: disk.format,
        sizeMiB: disk.sizeMiB,
        baseVersion: null,
        vmId: spec.id,
        move: null,
        createdAt: spec.createdAt,
      }),
    ),
  ]
}

let idsMade = 0
/** Ids that never repeat within the process. */
function countingBytes(): (count: number) => Uint8Array {
  return (count) => {
    idsMade += 1
    return Uint8Array.from({ length: count }, (_byte, index) => Math.floor(idsMade / 32 ** index) % 32)
  }
}
