/** Security groups over the API. Hosts are told of changes with their next heartbeat. */
import { commitAndSee, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { firewallRoutes, SecurityGroupView } from '../../model/api/firewall-routes.ts'
import type { HandlerInput } from '../../model/api/route.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import {
  type FilterPeer,
  filterPeerSchema,
  keepsGroups,
  type SecurityGroup,
  securityRuleSchema,
} from '../../model/firewall.ts'
import { makeId, type SecurityGroupId, securityGroupIdSchema } from '../../model/ids.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { Condition, Write } from '../../store/store.ts'
import type { Caller } from '../../transport/caller.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { securityGroupView } from '../views/security-group-view.ts'
import { type ApiContext, findVm, viewOfVm } from './api-context.ts'

const maximumRules = 256

export function firewallHandlers(context: ApiContext): Handlers<typeof firewallRoutes> {
  const { leader } = context.engine
  const viewOf = (groupId: SecurityGroupId): SecurityGroupView => {
    const group = leader.index.state().securityGroups.get(groupId)
    if (group === undefined) throw new DialtoneError('not-found', `the security group ${groupId} is gone`)
    return securityGroupView(leader.index.state(), group)
  }
  return {
    listSecurityGroups: () => ({
      groups: [...leader.index.state().securityGroups.keys()]
        .map(viewOf)
        .sort((left, right) => left.name.localeCompare(right.name)),
    }),
    getSecurityGroup: ({ params }) => viewOf(findGroup(context, params.group).id),
    async createSecurityGroup({ body: { name } }, caller) {
      const id = makeId('sg', securityGroupIdSchema, leader.randomBytes(8))
      const group: SecurityGroup = { id, name, rules: [], createdAt: leader.clock.wallTime().toISOString() }
      const claim = keys.nameClaim('security-group', name)
      const result = await commitAndSee(leader, {
        conditions: [{ key: claim, modRevision: 0 }],
        writes: [
          put(claim, id),
          put(keys.securityGroup(id), group),
          eventOf(context, { group, caller, what: 'created' }),
        ],
      })
      if (result.kind === 'conflict') throw new DialtoneError('name-taken', `a security group named ${name} exists`)
      return viewOf(id)
    },
    async deleteSecurityGroup({ params }, caller) {
      await repeatedly(context, params.group, () => {
        const group = findGroup(context, params.group)
        refuseInUse(context, group)
        const key = keys.securityGroup(group.id)
        const deletions = [key, keys.nameClaim('security-group', group.name)]
        return {
          conditions: [unchanged(leader, key)],
          writes: [
            ...deletions.map((gone): Write => ({ kind: 'delete', key: gone })),
            eventOf(context, { group, caller, what: 'deleted' }),
          ],
        }
      })
      return {}
    },
    addSecurityRule: async ({ params, body }, caller) =>
      viewOf(await changeRules(context, { reference: params.group, body, caller, change: 'add' })),
    removeSecurityRule: async ({ params, body }, caller) =>
      viewOf(await changeRules(context, { reference: params.group, body, caller, change: 'remove' })),
    setVmSecurityGroups: ({ params, body }, caller) => setVmGroups(context, params.vm, { groups: body.groups, caller }),
  }
}

/** By name or id. */
export function findGroup({ engine }: ApiContext, reference: string): SecurityGroup {
  const { securityGroups } = engine.leader.index.state()
  const found = [...securityGroups.values()].find(({ name, id }) => name === reference || id === reference)
  if (found === undefined) throw new DialtoneError('not-found', `there is no security group ${reference}`)
  return found
}

type RuleChange = {
  readonly reference: string
  readonly body: HandlerInput<(typeof firewallRoutes)['addSecurityRule']>['body']
  readonly caller: Caller
  readonly change: 'add' | 'remove'
}

async function changeRules(
  context: ApiContext,
  { reference, body, caller, change }: RuleChange,
): Promise<SecurityGroupId> {
  const { leader } = context.engine
  const { id } = findGroup(context, reference)
  await repeatedly(context, reference, () => {
    const group = findGroup(context, id)
    const peer = peerOf(context, body.peer)
    const parsed = securityRuleSchema.safeParse({ ...body, peer })
    if (!parsed.success)
      throw new DialtoneError('invalid-input', parsed.error.issues.map(({ message }) => message).join(', '))
    const isSame = (rule: unknown) => JSON.stringify(rule) === JSON.stringify(parsed.data)
    const others = group.rules.filter((rule) => !isSame(rule))
    if (change === 'remove' && others.length === group.rules.length)
      throw new DialtoneError(
        'not-found',
        `${group.name} has no such rule: look at them with dialtone firewall group show ${group.name}`,
      )
    if (change === 'add' && others.length >= maximumRules)
      throw new DialtoneError('invalid-input', `${group.name} has ${maximumRules} rules already, which is the limit`)
    const rules = change === 'add' ? [...others, parsed.data] : others
    const named = peer.kind === 'group' && peer.groupId !== id ? [peer.groupId] : []
    return {
      conditions: [
        unchanged(leader, keys.securityGroup(id)),
        ...named.map((groupId) => unchanged(leader, keys.securityGroup(groupId))),
      ],
      writes: [
        put(keys.securityGroup(id), { ...group, rules }),
        ...named.flatMap((groupId) => touch(context, groupId)),
        eventOf(context, { group, caller, what: change === 'add' ? 'given a rule' : 'relieved of a rule' }),
      ],
    }
  })
  return id
}

async function setVmGroups(
  context: ApiContext,
  reference: string,
  { groups, caller }: { readonly groups: readonly string[]; readonly caller: Caller },
) {
  const { leader } = context.engine
  const vmId = findVm(context, reference).spec.id
  await repeatedly(context, reference, () => {
    const { spec } = findVm(context, vmId)
    const securityGroupIds = [...new Set(groups.map((group) => findGroup(context, group).id))]
    const next: VmSpec = { ...spec, securityGroupIds }
    if (securityGroupIds.length > 0) refuseUnkept(context, vmId)
    const message =
      groups.length === 0 ? 'it is in no security group any more' : `its security groups are ${groups.join(', ')}`
    const event = leader.events.write({
      kind: 'vm.security-groups-set',
      subject: spec.name,
      message,
      vmId,
      user: caller.name,
    })
    return {
      conditions: [keys.vm(vmId), ...securityGroupIds.map(keys.securityGroup)].map((key) => unchanged(leader, key)),
      writes: [put(keys.vm(vmId), next), ...securityGroupIds.flatMap((id) => touch(context, id)), event],
    }
  })
  return viewOfVm(context, vmId)
}

/** A host that can't follow connections would leave it open, or closed altogether. */
function refuseUnkept(context: ApiContext, vmId: VmSpec['id']): void {
  const { vms, hosts } = context.engine.leader.index.state()
  const { spec, placement } = vms.get(vmId) ?? {}
  const host = placement === undefined ? undefined : hosts.get(placement.hostId)
  if (spec === undefined || host === undefined || spec.desired === 'stopped' || keepsGroups(host.status.firewall))
    return
  throw new DialtoneError(
    'wrong-state',
    `${host.spec.name}, where ${spec.name} is, can't keep security groups: ${host.status.firewallDetail}`,
  )
}

function refuseInUse({ engine }: ApiContext, group: SecurityGroup): void {
  const { vms, securityGroups } = engine.leader.index.state()
  const owners = [...vms.values()].filter(({ spec }) => spec.securityGroupIds.includes(group.id))
  const naming = [...securityGroups.values()].filter(
    ({ id, rules }) => id !== group.id && rules.some(({ peer }) => peer.kind === 'group' && peer.groupId === group.id),
  )
  const users = [...owners.map(({ spec }) => spec.name), ...naming.map(({ name }) => `the group ${name}`)]
  if (users.length > 0) throw new DialtoneError('in-use', `${group.name} is used by ${users.join(', ')}`)
}

function peerOf(context: ApiContext, peer: string): FilterPeer {
  if (peer === 'any') return { kind: 'any' }
  const cidr = /^[\d.]+$/.test(peer) ? `${peer}/32` : peer
  const network = filterPeerSchema.safeParse({ kind: 'network', cidr })
  return network.success ? network.data : { kind: 'group', groupId: findGroup(context, peer).id }
}

/** Written as it is: who deletes it at the same time finds it changed. */
function touch({ engine }: ApiContext, groupId: SecurityGroupId): Write[] {
  const group = engine.leader.index.state().securityGroups.get(groupId)
  return group === undefined ? [] : [put(keys.securityGroup(groupId), group)]
}

function eventOf(
  { engine }: ApiContext,
  { group, caller, what }: { readonly group: SecurityGroup; readonly caller: Caller; readonly what: string },
): Write {
  const message = `the security group ${group.name} was ${what} by ${caller.name}`
  return engine.leader.events.write({ kind: 'security-group.changed', subject: group.name, message, user: caller.name })
}

type Transaction = { readonly conditions: readonly Condition[]; readonly writes: readonly Write[] }

/** Until nobody else has changed it in between. */
async function repeatedly({ engine }: ApiContext, reference: string, prepare: () => Transaction): Promise<void> {
  await untilCommitted(reference, async () =>
    (await commitAndSee(engine.leader, prepare())).kind === 'committed' ? true : undefined,
  )
}
