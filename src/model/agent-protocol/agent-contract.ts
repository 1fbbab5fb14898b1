/** What the leader orders from an agent. Each order carries (term, session); orders about machines an epoch too. All are safe to repeat. */
import { z } from 'zod'
import type { Contract } from '../api/route.ts'
import { hostCommandReportSchema, hostCommandRunSchema } from '../host-command.ts'
import {
  hostIdSchema,
  imageIdSchema,
  isoIdSchema,
  sessionIdSchema,
  storageIdSchema,
  vmIdSchema,
  volumeIdSchema,
} from '../ids.ts'
import { cdromDrives } from '../iso.ts'
import { diskFormatSchema, machineOrderSchema, orderAuthoritySchema } from '../machine-order.ts'
import { pillSchema } from '../protection/pill.ts'
import { injectedFailureSchema } from '../recovery/drill.ts'
import { ladderStatisticsSchema } from '../recovery/ladder-statistics.ts'
import { rungSchema } from '../recovery/recovery-policy.ts'
import { machineReportSchema } from '../vm.ts'
import { cloneOrders } from './clone-orders.ts'
import { manifestOrders } from './manifest-orders.ts'
import { migrationOrders } from './migration-orders.ts'
import { snapshotOrders } from './snapshot-orders.ts'
import { volumeOrders } from './volume-orders.ts'

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
  /** How well the rungs of recovery have worked here. */
  statistics: ladderStatisticsSchema,
  /** Processes that wait to take a machine over, and the images that are kept here. */
  spares: z.array(z.object({ vmId: vmIdSchema, pids: z.array(z.number().int()) })),
  images: z.array(z.object({ imageId: imageIdSchema, vmId: vmIdSchema, usedMiB: z.number().int() })),
  taps: z.array(z.object({ tapName: z.string(), vmId: vmIdSchema.nullable() })),
  volumes: z.array(z.object({ storageId: storageIdSchema, volumeId: volumeIdSchema })),
  storages: z.array(
    z.object({ storageId: storageIdSchema, totalMiB: z.number(), freeMiB: z.number(), error: z.string().nullable() }),
  ),
})
export type Inventory = z.infer<typeof inventorySchema>

/** Who had a disk for writing last, as it is written down beside it: a life of this machine under this epoch, on this very host. */
export const diskClaimSchema = z.object({
  vmId: vmIdSchema,
  epoch: z.number().int(),
  volumeId: volumeIdSchema,
  storageId: storageIdSchema,
})
export type DiskClaim = z.infer<typeof diskClaimSchema>

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
    body: z.object({
      authority: orderAuthoritySchema,
      upToEpoch: z.number().int(),
      /** Refused with `wrong-state` when a write of it may be on its way: on a storage that this host does not reach, nobody knows for how long. */
      onlyIfStill: z.boolean().default(false),
    }),
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
  configureMachine: {
    method: 'PUT',
    path: '/agent/v1/machines/:vmId/configuration',
    role: 'host',
    summary:
      'Tells what a machine that runs is to have from now on, how it recovers, and when its service answers correctly.',
    params: vmParams,
    body: z.object({ authority: orderAuthoritySchema, epoch, machine: machineOrderSchema }),
    response: accepted,
  },
  changeDisc: {
    method: 'PUT',
    path: '/agent/v1/machines/:vmId/drives/:drive',
    role: 'host',
    summary: 'Puts a disc into a drive of a machine, in place of what is in it; null takes it out.',
    params: z.object({
      vmId: vmIdSchema,
      drive: z.coerce
        .number()
        .int()
        .min(0)
        .max(cdromDrives - 1),
    }),
    body: z.object({ authority: orderAuthoritySchema, epoch, isoId: isoIdSchema.nullable(), isForced: z.boolean() }),
    response: z.object({}),
  },
  keepStandby: {
    method: 'PUT',
    path: '/agent/v1/standbys/:vmId',
    role: 'host',
    summary: 'Keeps this image of a machine here, with a process that waits, so that it can be taken over at once.',
    params: vmParams,
    body: z.object({ authority: orderAuthoritySchema, machine: machineOrderSchema, imageId: imageIdSchema }),
    response: z.object({}),
    status: 202,
  },
  dropStandby: {
    method: 'POST',
    path: '/agent/v1/standbys/:vmId/drop',
    role: 'host',
    summary: 'Keeps nothing ready for this machine any more.',
    params: vmParams,
    body: z.object({ authority: orderAuthoritySchema }),
    response: z.object({}),
  },
  captureMachine: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/capture',
    role: 'host',
    summary: 'Captures a new memory image of the running machine; answers when it is whole.',
    params: vmParams,
    /** `template`: published, so that clones can begin with it; the machine's own image stays. */
    body: z.object({ authority: orderAuthoritySchema, epoch, kind: z.enum(['recovery', 'template']) }),
    response: z.object({ imageId: imageIdSchema }),
  },
  recoverMachine: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/recover',
    role: 'host',
    summary: 'Ends a machine that runs and brings it back by this rung.',
    params: vmParams,
    body: z.object({ authority: orderAuthoritySchema, epoch, rung: rungSchema }),
    response: z.object({}),
    status: 202,
  },
  injectFailure: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/inject',
    role: 'host',
    summary: 'Makes a machine fail, for a drill.',
    params: vmParams,
    body: z.object({
      authority: orderAuthoritySchema,
      epoch,
      failure: injectedFailureSchema,
    }),
    response: z.object({}),
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
  runHostCommand: {
    method: 'PUT',
    path: '/agent/v1/commands/:runId',
    role: 'host',
    summary: "Runs an administrator's command on this host, unless this run was begun before, and tells how it stands.",
    params: z.object({ runId: hostCommandRunSchema }),
    body: z.object({ authority: orderAuthoritySchema, command: z.string().min(1).max(4_000) }),
    response: hostCommandReportSchema,
  },
  inventory: {
    method: 'GET',
    path: '/agent/v1/inventory',
    role: 'host',
    summary: 'What is really there, for the doctor.',
    response: inventorySchema,
  },
  localClaims: {
    method: 'GET',
    path: '/agent/v1/claims',
    role: 'host',
    summary: 'Which machines had the disks that only this host has, for a store that may have forgotten it.',
    response: z.object({ claims: z.array(diskClaimSchema) }),
  },
  ...migrationOrders,
  ...snapshotOrders,
  ...cloneOrders,
  ...volumeOrders,
  ...manifestOrders,
} as const satisfies Contract

export type AgentContract = typeof agentContract
