/** A controller without a cloud behind it, for tests of the command line: the real contract over real HTTP, answers that a test sets. */

import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ApiContract, apiContract } from '../../model/api/contract.ts'
import type { EventView, HostView, TaskView, VmView } from '../../model/api/views.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { networkIdSchema } from '../../model/ids.ts'
import { defaultTimings } from '../../model/timings.ts'
import { type Handlers, mountContract } from '../../transport/mount-contract.ts'
import type { SentEvent } from '../../transport/send-events.ts'
import { listen, makeServer } from '../../transport/serve.ts'
import { makeAccessHandlers } from './access-answers.ts'
import { makeFigureHandlers } from './figure-answers.ts'
import { makeFirewallHandlers } from './firewall-answers.ts'
import { makeImageHandlers } from './image-answers.ts'
import { makeLedgerHandlers } from './ledger-answers.ts'
import { makeNamingHandlers } from './naming-answers.ts'
import { makeNetworkHandlers } from './network-answers.ts'
import { makePlanningHandlers } from './planning-answers.ts'
import { rebuildAnswers } from './rebuild-answers.ts'
import { makeRecoveryHandlers } from './recovery-answers.ts'
import { makeServiceHandlers } from './service-answers.ts'
import { makeSnapshotHandlers } from './snapshot-answers.ts'
import { makeHostView, makeStorageView, makeTaskView, makeVmView, makeVolumeView } from './views.ts'

export const standInToken = 'a-token-of-the-test'

/** What a test sets, and what it looks at. */
export type Situation = {
  vms: VmView[]
  hosts: HostView[]
  /** What every task goes through after it has begun, one change each few milliseconds. */
  taskChanges: readonly Partial<TaskView>[]
  /** Thrown by `createVm`. */
  refusal: DialtoneError | null
  /** How many streams of a task are cut off after their first event. */
  streamsToCut: number
  /** Names of the routes that change something, with the VM or host they were called for. */
  readonly changes: string[]
  /** How often a stream of a task was opened. */
  streamsOpened: number
}

export type StandIn = AsyncDisposable & { readonly baseUrl: string; readonly situation: Situation }

const changeEveryMs = 20
const ended: Partial<TaskView> = { state: 'succeeded', progress: 1, endedAt: '2026-03-01T12:00:00.000Z' }

/** Starts it on a free port of the loopback address. */
export async function startStandIn(): Promise<StandIn> {
  const app = makeServer({ closeGraceMs: 100 })
  const situation: Situation = {
    vms: [makeVmView()],
    hosts: [makeHostView()],
    taskChanges: [ended],
    refusal: null,
    streamsToCut: 0,
    changes: [],
    streamsOpened: 0,
  }
  const cutStreams = () => {
    for (const stream of app.openStreams) stream.abort(new DialtoneError('cancelled', 'Cut by the test.'))
  }
  mountContract(app, apiContract, makeHandlers(situation, cutStreams), {
    identify: (request) => {
      if (request.headers.authorization === `Bearer ${standInToken}`) return { name: 'admin', role: 'administrator' }
      throw new DialtoneError('unauthenticated', 'This needs a caller who is signed in.')
    },
    checkAnswers: true,
  })
  const port = await listen(app, { host: '127.0.0.1', port: 0 })
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    situation,
    [Symbol.asyncDispose]: async () => app.close(),
  }
}

function makeHandlers(situation: Situation, cutStreams: () => void): Handlers<ApiContract> {
  return {
    ...makeVmHandlers(situation),
    ...makeTaskHandlers(situation, cutStreams),
    listVolumes: () => ({ volumes: [makeVolumeView()] }),
    moveVolume: ({ params, body }) => {
      situation.changes.push(`move ${params.volume} to ${body.storage}`)
      return { volume: makeVolumeView(), task: makeTaskView({ kind: 'volume.move', subject: 'web:0' }) }
    },
    ...makeDiskHandlers(situation),
    ...makeHostHandlers(situation),
    ...makeRecoveryHandlers(situation),
    ...makeFigureHandlers(),
    ...makeFirewallHandlers(situation),
    ...makePlanningHandlers(situation),
    ...makeSnapshotHandlers(situation),
    ...makeServiceHandlers(situation),
    health: () => ({ status: 'ok', version: '0.1.0' }),
    getCluster: () => ({
      id: 'b5f7c2a0-1d0e-4b43-9d1c-0c5f3e6a7b80',
      name: 'lab',
      createdAt: '2026-03-01T11:00:00.000Z',
      timings: defaultTimings,
      hostFailuresToTolerate: 0,
      version: '0.1.0',
      term: 1,
      network: null,
      storeIncarnation: 'one',
      storeRevision: 40,
      holds: [],
    }),
    setNetwork: ({ body }) => body,
    ...makeNetworkHandlers(),
    ...makeImageHandlers(situation),
    ...makeLedgerHandlers([]),
    ...makeAccessHandlers(situation),
    cloneTemplate: ({ body }) => ({ names: body.names ?? [], task: makeTaskView({ kind: 'vm.clone' }) }),
    cloneDisks: ({ params, body }) => {
      situation.changes.push(`clone-disks ${JSON.stringify(body)} ${params.vm}`)
      return { names: [params.vm], task: makeTaskView({ kind: 'vm.clone-disks' }) }
    },
    cloneSet: ({ body }) => {
      situation.changes.push(`clone-set ${JSON.stringify(body)}`)
      const task = makeTaskView({ kind: 'clone-set' })
      return { names: body.vms, networkId: networkIdSchema.parse('net-aaaaaaaa'), tag: 'set.test', task }
    },
    warmTemplate: ({ params }) => ({ task: makeTaskView({ kind: 'template.warm', subject: params.template }) }),
    listEvents: () => ({ events: [happened] }),
    watchEvents: () => sent([happened]),
    watch: () => sent([]),
    ...rebuildAnswers(),
    doctor: () => ({ findings: [], checked: ['one-writer'] }),
  }
}

const happened: EventView = {
  revision: 40,
  at: '2026-03-01T11:00:00.000Z',
  kind: 'vm.started',
  subject: 'web',
  message: 'web was started on node1.',
  vmId: null,
  hostId: null,
  user: 'admin',
}

function makeDiskHandlers({ changes }: Situation) {
  return {
    attachDisk: ({ body }: { readonly body: object }) => {
      changes.push(`attach ${JSON.stringify(body)}`)
      return { vm: makeVmView(), task: makeTaskView({ kind: 'vm.attach-disk' }) }
    },
    resizeDisk: ({ params, body }: { readonly params: { readonly disk: string }; readonly body: object }) => {
      changes.push(`resize ${params.disk} ${JSON.stringify(body)}`)
      return makeVmView()
    },
    detachDisk: ({ params, query }: { readonly params: { readonly disk: string }; readonly query: object }) => {
      changes.push(`detach ${params.disk} ${JSON.stringify(query)}`)
      return { vm: makeVmView(), task: makeTaskView({ kind: 'vm.detach-disk' }) }
    },
  }
}

type VmHandlers = Pick<
  Handlers<ApiContract>,
  Exclude<
    Extract<keyof ApiContract, `${string}Vm` | 'listVms' | 'vmConsole' | 'vmConsoleTicket'>,
    'recoverVm' | 'revertVm'
  >
>

function makeVmHandlers(situation: Situation): VmHandlers {
  const found = (reference: string): VmView => {
    const vm = situation.vms.find(({ id, name }) => id === reference || name === reference)
    if (vm === undefined) throw new DialtoneError('not-found', `There is no VM ${reference}.`)
    return vm
  }
  const begin = (verb: string) => (input: { readonly params: { readonly vm: string } }) => {
    const vm = found(input.params.vm)
    situation.changes.push(`${verb} ${vm.name}`)
    return { vm, task: makeTaskView({ kind: `vm.${verb}`, subject: vm.name }) }
  }
  return {
    listVms({ query: { tag } }) {
      const vms = situation.vms.filter(({ tags }) => tag === undefined || tags.includes(tag))
      return { vms, revision: 40 }
    },
    ...makeNamingHandlers(found),
    getVm: ({ params }) => found(params.vm),
    createVm: ({ body }) => {
      if (situation.refusal !== null) throw situation.refusal
      situation.changes.push(`create ${JSON.stringify(body)}`)
      const vm = makeVmView({ name: body.name })
      situation.vms = [...situation.vms.filter(({ id }) => id !== vm.id), vm]
      return { vm, task: makeTaskView({ subject: vm.name }) }
    },
    changeVm: ({ params, body }) => {
      const vm = found(params.vm)
      situation.changes.push(`change ${vm.name} ${JSON.stringify(body)}`)
      const { recovery = vm.recovery, probe = vm.probe, drillable = vm.drillable } = body
      return { ...vm, recovery, probe, drillable }
    },
    warmVm: begin('warm'),
    migrateVm: ({ params, body }) => begin(`migrate ${body.host ?? 'anywhere'}`)({ params }),
    cloneVm: ({ params, body }) => {
      const { vm, task } = begin('clone')({ params })
      return { names: Array.from({ length: body.count }, () => vm.name), task }
    },
    drillVm: ({ params, body }) => begin(`drill ${body.kind}`)({ params }),
    startVm: begin('start'),
    stopVm: begin('stop'),
    killVm: begin('kill'),
    pauseVm: begin('pause'),
    resumeVm: begin('resume'),
    deleteVm: begin('delete'),
    resetVm: ({ params }) => found(params.vm),
    vmConsoleTicket: () => ({ ticket: 'a-ticket' }),
    vmConsole: ({ params }) => {
      const line = new PassThrough()
      line.write(`${found(params.vm).name} login: `)
      return line
    },
  }
}

type TaskHandlers = Pick<Handlers<ApiContract>, 'listTasks' | 'getTask' | 'cancelTask' | 'watchTask'>

function makeTaskHandlers(situation: Situation, cutStreams: () => void): TaskHandlers {
  /** The task after so many of its changes. Their count is the id of each event. */
  const after = (count: number): TaskView => {
    const changes: Partial<TaskView> = {}
    for (const change of situation.taskChanges.slice(0, count)) Object.assign(changes, change)
    return makeTaskView(changes)
  }
  return {
    listTasks: () => ({ tasks: [after(situation.taskChanges.length)] }),
    getTask: () => after(0),
    cancelTask: () => ({ ...after(0), cancelRequested: true }),
    watchTask: async function* (_input, _caller, scope) {
      situation.streamsOpened += 1
      const first = Number(scope.after ?? 0) + 1
      for (let count = first; count <= situation.taskChanges.length; count += 1) {
        await sleep(changeEveryMs, undefined, { signal: scope.signal })
        yield { id: count, data: after(count) }
        if (situation.streamsToCut === 0) continue
        situation.streamsToCut -= 1
        await sleep(changeEveryMs)
        cutStreams()
      }
    },
  }
}

type HostHandlers = Pick<
  Handlers<ApiContract>,
  | Extract<keyof ApiContract, `${string}Host` | `${string}HostFence` | `${string}HostDead` | `${string}Storage`>
  | 'listHosts'
  | 'createJoinToken'
  | 'listStorages'
  | 'listTemplates'
  | 'createTemplate'
  | 'getTemplate'
  | 'deleteTemplate'
  | 'buildTemplate'
>

function makeHostHandlers(situation: Situation): HostHandlers {
  const found = (reference: string): HostView => {
    const host = situation.hosts.find(({ id, name }) => id === reference || name === reference)
    if (host === undefined) throw new DialtoneError('not-found', `There is no host ${reference}.`)
    return host
  }
  return {
    listHosts: () => ({ hosts: situation.hosts }),
    getHost: ({ params }) => found(params.host),
    createJoinToken: () => ({ token: 'join-1', expiresAt: '2026-03-01T12:00:00.000Z' }),
    setHostFence: ({ params, body }) => ({ ...found(params.host), fence: body.fence }),
    confirmHostDead: ({ params, body }) => {
      const { id, name } = found(params.host)
      situation.changes.push(`confirm-dead ${body.confirm}`)
      const provedAt = '2026-03-01T12:00:00.000Z'
      return { proof: { kind: 'operator', hostId: id, hostName: name, provedAt, user: 'admin' } }
    },
    deleteHost: ({ params }) => {
      situation.changes.push(`delete-host ${found(params.host).name}`)
      return {}
    },
    listStorages: () => ({ storages: [makeStorageView()] }),
    createStorage: () => makeStorageView(),
    listTemplates: () => ({ templates: [] }),
    createTemplate: ({ body }) => {
      situation.changes.push(`create-template ${JSON.stringify(body)}`)
      const version = `${body.name}-1`
      return { version, task: makeTaskView({ kind: 'template.create', subject: version }) }
    },
    getTemplate: () => {
      throw new DialtoneError('template-not-built', 'There is no template yet.')
    },
    deleteTemplate: () => ({}),
    buildTemplate: () => ({ task: makeTaskView({ kind: 'template.build', subject: 'tiny' }) }),
  }
}

async function* sent<Data>(items: readonly Data[]): AsyncGenerator<SentEvent<Data>> {
  for (const [index, data] of items.entries()) yield { id: index + 1, data }
}
