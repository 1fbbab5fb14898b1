/** Security groups: what machines may be sent and may send. */
import { z } from 'zod'
import {
  filterDirectionSchema,
  filterProtocolSchema,
  portRangeSchema,
  securityGroupSchema,
  securityRuleSchema,
} from '../firewall.ts'
import { nameSchema } from '../ids.ts'
import type { Contract } from './route.ts'
import { vmViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

const groupParams = z.object({ group: referenceSchema })

export const securityGroupViewSchema = z.object({
  ...securityGroupSchema.shape,
  rules: z.array(z.object({ ...securityRuleSchema.shape, /** In words. */ sentence: z.string() })),
  vmNames: z.array(z.string()),
})
export type SecurityGroupView = z.infer<typeof securityGroupViewSchema>

const ruleBody = z.strictObject({
  direction: filterDirectionSchema,
  protocol: filterProtocolSchema,
  ports: z.array(portRangeSchema).max(64).default([]),
  /** `any`, an address range such as 10.0.0.0/8, or a group by name or id: where it comes from, or, for `out`, where it goes. */
  peer: z.string().min(1).max(64).default('any'),
})

export const firewallRoutes = {
  listSecurityGroups: {
    method: 'GET',
    path: '/v1/security-groups',
    role: 'viewer',
    summary: 'All security groups.',
    response: z.object({ groups: z.array(securityGroupViewSchema) }),
  },
  getSecurityGroup: {
    method: 'GET',
    path: '/v1/security-groups/:group',
    role: 'viewer',
    summary: 'One security group with its rules.',
    params: groupParams,
    response: securityGroupViewSchema,
  },
  createSecurityGroup: {
    method: 'POST',
    path: '/v1/security-groups',
    role: 'operator',
    summary: 'Makes a security group without rules.',
    body: z.strictObject({ name: nameSchema }),
    response: securityGroupViewSchema,
    status: 201,
  },
  deleteSecurityGroup: {
    method: 'DELETE',
    path: '/v1/security-groups/:group',
    role: 'operator',
    summary: 'Deletes a security group that no VM has and no rule of another one names.',
    params: groupParams,
    response: z.object({}),
  },
  addSecurityRule: {
    method: 'POST',
    path: '/v1/security-groups/:group/rules',
    role: 'operator',
    summary: 'Lets something through. Machines that run have it at once; a rule that is there already stays.',
    params: groupParams,
    body: ruleBody,
    response: securityGroupViewSchema,
  },
  removeSecurityRule: {
    method: 'POST',
    path: '/v1/security-groups/:group/rules/remove',
    role: 'operator',
    summary: 'Removes the rule that says exactly this. Connections that exist go on.',
    params: groupParams,
    body: ruleBody,
    response: securityGroupViewSchema,
  },
  setVmSecurityGroups: {
    method: 'PUT',
    path: '/v1/vms/:vm/security-groups',
    role: 'operator',
    summary: 'The groups that a VM has from now on, also while it runs; none: it is open.',
    params: z.object({ vm: referenceSchema }),
    body: z.strictObject({ groups: z.array(referenceSchema).max(16) }),
    response: vmViewSchema,
  },
} as const satisfies Contract
