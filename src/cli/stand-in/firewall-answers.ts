/** What the stand-in controller answers about security groups: there is one, `web`. */
import type { firewallRoutes, SecurityGroupView } from '../../model/api/firewall-routes.ts'
import type { VmView } from '../../model/api/views.ts'
import { securityGroupIdSchema } from '../../model/ids.ts'
import type { Handlers } from '../../transport/mount-contract.ts'

export function makeSecurityGroupView(changes: Partial<SecurityGroupView> = {}): SecurityGroupView {
  return {
    id: securityGroupIdSchema.parse('sg-aaaaaaaa'),
    name: 'web',
    rules: [
      {
        direction: 'in',
        protocol: 'tcp',
        ports: [{ from: 80, to: 80 }],
        peer: { kind: 'any' },
        sentence: 'in tcp 80 from anybody',
      },
    ],
    vmNames: ['web'],
    createdAt: '2026-03-01T11:00:00.000Z',
    ...changes,
  }
}

export function makeFirewallHandlers(situation: {
  readonly vms: readonly VmView[]
  readonly changes: string[]
}): Handlers<typeof firewallRoutes> {
  const noted = (change: string, view = makeSecurityGroupView()) => {
    situation.changes.push(change)
    return view
  }
  return {
    listSecurityGroups: () => ({ groups: [makeSecurityGroupView()] }),
    getSecurityGroup: () => makeSecurityGroupView(),
    createSecurityGroup: ({ body: { name } }) =>
      noted(`create-group ${name}`, makeSecurityGroupView({ name, rules: [] })),
    deleteSecurityGroup: ({ params }) => {
      noted(`delete-group ${params.group}`)
      return {}
    },
    addSecurityRule: ({ params, body }) => noted(`add-rule ${params.group} ${JSON.stringify(body)}`),
    removeSecurityRule: ({ params, body }) => noted(`remove-rule ${params.group} ${JSON.stringify(body)}`),
    setVmSecurityGroups({ params, body }) {
      noted(`apply ${params.vm} ${body.groups.join(',')}`)
      const [vm] = situation.vms
      if (vm === undefined) throw new Error('there is no VM')
      return { ...vm, securityGroups: body.groups }
    },
  }
}
