/** What the leader orders from an agent. Each order carries (term, session); orders about machines an epoch too. All are safe to repeat. */
import { z } from 'zod'
import type { Contract } from '../api/route.ts'
import { hostIdSchema, sessionIdSchema, storageIdSchema, vmIdSchema, volumeIdSchema } from '../ids.ts'
import { diskFormatSchema, machineOrderSchema, orderAuthoritySchema } from '../machine-order.ts'
import { pillSchema } from '../protection/pill.ts'
import { machineReportSchema } from '../vm.ts'

const vmParams = z.object({ vmId: vmIdSchema })
const epoch = z.number().int().min(1)
const accepted = z.object({ report: machineReportSchema.nullable() })

export const inventorySchema = z.object({
  hostId: hostIdSchema,
  session: sessionIdSchema,
  machines: z.array(machineReportSchema),
  /** Machines' cgroups on this host that hold processes, whatever the agent believes. */
  populatedMachineCgroups: z.array(z.object({ name: z.string(), pids: z.array(z.number().int()) })),
  runDirectories: z.array(z.string()),
  taps: z.array(z.object({ tapName: z.string(), vmId: vmIdSchema.nullable() })),
  volumes: z.array(z.object({ storageId: storageIdSchema, volumeId: volumeIdSchema })),
  storages: z.array(
    z.object({ storageId: storageIdSchema, totalMiB: z.number(), freeMiB: z.number(), error: z.string().nullable() }),
  ),
})
export type Inventory = z.infer<typeof inventorySchema>

export const agentContract = {
  startMachine: {
    method: 'PUT',
    path: '/agent/v1/machines/:vmId',
    role: 'host',
    summary: 'Starts this machine under this epoch; ends any older life of it first.',
    params: vmParams,
    body: z.object({ authority: orderAuthoritySchema, epoch, machine: machineOrderSchema }),
    response: accepted,
    status: 202,
  },
  stopMachine: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/stop',
    role: 'host',
    summary: 'Presses the power button, or kills.',
    params: vmParams,
    body: z.object({ authority: orderAuthoritySchema, epoch, mode: z.enum(['shutdown', 'kill']) }),
    response: accepted,
    status: 202,
  },
  releaseMachine: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/release',
    role: 'host',
    summary:
      'Answers only when the machine is reaped here, and nothing up to this epoch will start in this session: a proof.',
    params: vmParams,
    body: z.object({ authority: orderAuthoritySchema, upToEpoch: z.number().int() }),
    response: z.object({ session: sessionIdSchema, upToEpoch: z.number().int() }),
  },
  changeMachine: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/change',
    role: 'host',
    summary: 'Pauses, resumes or resets.',
    params: vmParams,
    body: z.object({ authority: orderAuthoritySchema, epoch, change: z.enum(['pause', 'resume', 'reset']) }),
    response: accepted,
  },
  console: {
    method: 'GET',
    path: '/agent/v1/machines/:vmId/console',
    role: 'host',
    summary: 'The serial console as raw bytes.',
    params: vmParams,
    stream: 'upgrade',
  },
  createVolume: {
    method: 'PUT',
    path: '/agent/v1/volumes/:volumeId',
    role: 'host',
    summary: 'Makes a volume on a storage that this host has.',
    params: z.object({ volumeId: volumeIdSchema }),
    body: z.object({
      authority: orderAuthoritySchema,
      storageId: storageIdSchema,
      format: diskFormatSchema,
      sizeMiB: z.number().int().min(1),
      baseVersion: z.string().nullable(),
    }),
    response: z.object({}),
  },
  deleteVolume: {
    method: 'POST',
    path: '/agent/v1/volumes/:volumeId/delete',
    role: 'host',
    summary: 'Deletes a volume; refuses while a process here has it open.',
    params: z.object({ volumeId: volumeIdSchema }),
    body: z.object({ authority: orderAuthoritySchema, storageId: storageIdSchema }),
    response: z.object({}),
  },
  writePill: {
    method: 'PUT',
    path: '/agent/v1/storages/:storageId/slots/:slot',
    role: 'host',
    summary: 'Writes a pill into a slot (or clears it), reads it back past every cache, then answers.',
    params: z.object({ storageId: storageIdSchema, slot: z.coerce.number().int().min(0).max(4095) }),
    body: z.object({ authority: orderAuthoritySchema, pill: pillSchema.nullable() }),
    response: z.object({}),
  },
  inventory: {
    method: 'GET',
    path: '/agent/v1/inventory',
    role: 'host',
    summary: 'What is really there, for the doctor.',
    response: inventorySchema,
  },
} as const satisfies Contract

export type AgentContract = typeof agentContract
