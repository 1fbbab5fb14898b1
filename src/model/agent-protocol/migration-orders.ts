/** What the leader orders of the two agents between whom a machine moves; and the one thing that an agent says to another. */
import { z } from 'zod'
import type { Contract } from '../api/route.ts'
import { hostIdSchema, vmIdSchema, volumeIdSchema } from '../ids.ts'
import { machineOrderSchema, orderAuthoritySchema, presentShapeSchema, startKindSchema } from '../machine-order.ts'
import { migrationMethodSchema } from '../migration/vm-migration.ts'

const vmParams = z.object({ vmId: vmIdSchema })
const epoch = z.number().int().min(1)
const head = { authority: orderAuthoritySchema, epoch }

/** What the machine is at its source beside what its order says: the destination has to be the same to its guest. */
export const departingSchema = z.object({
  /** Disks that it got while it ran, in the order of their ports. */
  plugged: z.array(volumeIdSchema),
  /** The ports of those, in the same order; the first ones when left out. */
  ports: z.array(z.number().int()).optional(),
  /** What else its process is; null: what its order says. */
  present: presentShapeSchema.nullable().optional(),
  startedBy: startKindSchema,
})
export type Departing = z.infer<typeof departingSchema>

/** A disk that goes with its machine. `isOnSameBase`: its copy lies on the same template. */
export const copiedDiskSchema = z.object({ volumeId: volumeIdSchema, isOnSameBase: z.boolean() })
export type CopiedDisk = z.infer<typeof copiedDiskSchema>

export const departureReportSchema = z.object({
  /**
   * `none`: this agent knows of no departure, as one that was restarted. `sent`: the destination has all of it, and it stands still here.
   * `following`: it stands still here for good, may run there, and the rest of its memory is on its way.
   */
  state: z.enum(['none', 'prepared', 'moving', 'following', 'sent', 'failed']),
  method: migrationMethodSchema.nullable(),
  transferredBytes: z.number(),
  remainingBytes: z.number(),
  totalBytes: z.number(),
  dirtyBytesPerSecond: z.number(),
  /** Of the disks that go with it; null when none does. */
  disks: z.object({ copiedBytes: z.number(), totalBytes: z.number() }).nullable(),
  /** Since when it stands still here, by this host's clock. */
  stoppedAtMs: z.number().nullable(),
  /** Its probe got correct answers until then. */
  wasServing: z.boolean(),
  detail: z.string(),
})
export type DepartureReport = z.infer<typeof departureReportSchema>

export const arrivalEndSchema = z.object({
  /** Since when it runs at its destination, by that host's clock; null when nobody saw it. */
  resumedAtMs: z.number().nullable(),
  /** When its probe got the first correct answer there; null while it has none, or there is no probe. */
  answeredAtMs: z.number().nullable(),
  /** False while some of its memory is still on its way. */
  isWhole: z.boolean(),
  /** Why it is there without the memory that it had, and was recovered like any machine whose process died. */
  lost: z.string().nullable(),
})
export type ArrivalEnd = z.infer<typeof arrivalEndSchema>

export const departureTargetSchema = z.object({
  hostId: hostIdSchema,
  hostName: z.string(),
  address: z.string(),
  port: z.number().int(),
})
export type DepartureTarget = z.infer<typeof departureTargetSchema>

export const migrationOrders = {
  prepareDeparture: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/departure/prepare',
    role: 'host',
    summary: 'Keeps a running machine as it is until it has left or its departure is abandoned; tells what it is.',
    params: vmParams,
    body: z.object(head),
    response: departingSchema,
  },
  depart: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/departure',
    role: 'host',
    summary: 'Begins to send the machine to the host that waits for it. Answers at once.',
    params: vmParams,
    body: z.object({
      ...head,
      target: departureTargetSchema,
      copied: z.array(copiedDiskSchema).default([]),
      canPostCopy: z.boolean(),
    }),
    response: departureReportSchema,
    status: 202,
  },
  followDeparture: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/departure/follow',
    role: 'host',
    summary: 'How far it is: answers when it may run at its destination or is over, or after this time.',
    params: vmParams,
    body: z.object({ ...head, waitMs: z.number().int().min(0).max(10_000) }),
    response: departureReportSchema,
  },
  abandonDeparture: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/departure/abandon',
    role: 'host',
    summary: 'Calls the departure off: the machine goes on here. `isAloneHere`: nothing of it is anywhere else.',
    params: vmParams,
    body: z.object({ ...head, isAloneHere: z.boolean() }),
    response: z.object({}),
  },
  expectArrival: {
    method: 'PUT',
    path: '/agent/v1/machines/:vmId/arrival',
    role: 'host',
    summary: 'Makes a process that waits for this machine to be sent here. Answers when it waits, and what it can.',
    params: vmParams,
    body: z.object({
      ...head,
      machine: machineOrderSchema,
      sourceHostId: hostIdSchema,
      departing: departingSchema,
      copied: z.array(copiedDiskSchema).default([]),
    }),
    response: z.object({ canPostCopy: z.boolean() }),
  },
  completeArrival: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/arrival/complete',
    role: 'host',
    summary:
      'The machine that was sent is this host’s now: it runs. Answers when it does, since when, and what was lost.',
    params: vmParams,
    body: z.object(head),
    response: arrivalEndSchema,
  },
  abandonArrival: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/arrival/abandon',
    role: 'host',
    summary: 'What of its memory has not come will not come any more: it is recovered here, unless all is there.',
    params: vmParams,
    body: z.object({ ...head, reason: z.string() }),
    response: z.object({}),
  },
} as const satisfies Contract

/** Between agents. Only the host that the leader named is let in. */
export const neighbourContract = {
  machineStream: {
    method: 'GET',
    path: '/neighbour/v1/machines/:vmId/stream',
    role: 'host',
    summary: 'The memory and devices of a machine that moves, as raw bytes both ways.',
    params: vmParams,
    stream: 'upgrade',
  },
  diskStream: {
    method: 'GET',
    path: '/neighbour/v1/machines/:vmId/disks/:volumeId/stream',
    role: 'host',
    summary: 'A disk of a machine that moves, as the two QEMUs speak of it (NBD).',
    params: z.object({ vmId: vmIdSchema, volumeId: volumeIdSchema }),
    stream: 'upgrade',
  },
} as const satisfies Contract
export type NeighbourContract = typeof neighbourContract
