/** Sets of clones over the API: what can't be made is refused at once, with the name of whom it is about; a task does the rest. */
import { randomUUID } from 'node:crypto'
import { type CloneSetIds, type CloneSetWish, planCloneSet } from '../../control/clones/plan-clone-set.ts'
import { commitAndSee, type Leader } from '../../engine/leader.ts'
import type { cloneSetRoutes } from '../../model/api/clone-set-routes.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { makeId, networkIdSchema, snapshotIdSchema, vmIdSchema, volumeIdSchema } from '../../model/ids.ts'
import { networksOf } from '../../model/network.ts'
import type { Caller } from '../../transport/caller.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, viewOfTask } from '../handlers/api-context.ts'
import type { CloneSetJournal } from './clone-set-saga.ts'

type Body = Parameters<Handlers<typeof cloneSetRoutes>['cloneSet']>[0]['body']

export function cloneSetHandlers(context: ApiContext): Handlers<typeof cloneSetRoutes> {
  return { cloneSet: ({ body }, caller) => beginSet(context, body, caller) }
}

async function beginSet({ engine }: ApiContext, body: Body, caller: Caller) {
  const { leader, tasks } = engine
  const vms = membersOf(leader, body.vms)
  const { prefix = '', start } = body
  const suffix = body.suffix ?? (prefix === '' ? '-copy' : '')
  const target = targetOf(leader, body)
  const ids = newIds(leader, vms)
  const plan = planCloneSet(leader.index.state(), { vms, target, prefix, suffix, isStarted: start }, ids)
  if (plan.kind === 'refused') throw new DialtoneError(plan.code, plan.message, { detail: plan.detail })
  const { tag, network } = plan
  const networkId = target.kind === 'network' ? target.network.id : ids.networkId
  const members = plan.members.map(({ vm, name, address }) => {
    const snapshotId = makeId('snap', snapshotIdSchema, leader.randomBytes(8))
    return { vmId: vm.spec.id, originName: vm.spec.name, name, address, snapshotId }
  })
  const journal: CloneSetJournal = { members, networkId, network, tag, start, user: caller.name }
  const subject = tag.slice('set.'.length)
  const { task, write } = tasks.prepare({ kind: 'clone-set', subject, user: caller.name, journal })
  await commitAndSee(leader, { conditions: [], writes: [write] })
  tasks.begin(task.id)
  return { names: members.map(({ name }) => name), networkId, tag, task: viewOfTask(task) }
}

/** Throws `not-found` with the names of all that aren't there. */
function membersOf({ index }: Leader, references: readonly string[]): readonly VmRecord[] {
  const all = [...index.state().vms.values()]
  const found = references.map((reference) => all.find(({ spec }) => spec.name === reference || spec.id === reference))
  const missing = references.filter((_, position) => found[position] === undefined)
  if (missing.length > 0)
    throw new DialtoneError('not-found', `there is no VM ${missing.join(', ')}: nothing was cloned`)
  return found.filter((vm) => vm !== undefined)
}

function targetOf({ index }: Leader, { network: reference, isolated }: Body): CloneSetWish['target'] {
  if ((reference === undefined) === (isolated === undefined))
    throw new DialtoneError('invalid-input', 'say either the network that they go into, or the name of an isolated one')
  if (isolated !== undefined) return { kind: 'isolated', name: isolated }
  const network = networksOf(index.state()).find(({ id, name }) => name === reference || id === reference)
  if (network === undefined) throw new DialtoneError('not-found', `there is no network ${reference}`)
  return { kind: 'network', network }
}

/** Those of the machines are only for trying them out: each gets its own when it is made. */
function newIds(leader: Leader, vms: readonly VmRecord[]): CloneSetIds {
  const createdAt = leader.clock.wallTime().toISOString()
  const members = vms.map(({ spec }) => ({
    vmId: makeId('vm', vmIdSchema, leader.randomBytes(8)),
    volumeIds: spec.disks.map(() => makeId('vol', volumeIdSchema, leader.randomBytes(8))),
    generationId: randomUUID(),
    createdAt,
  }))
  return { networkId: makeId('net', networkIdSchema, leader.randomBytes(8)), members, createdAt }
}
