/** A VM: what its owner wants (`spec`), where it is (`placement`, written by the leader), how it is (`status`, from the agent). */
import { z } from 'zod'
import { ipv4AddressSchema, macAddressSchema, pinnedHardwareSchema } from './hardware.ts'
import {
  hostIdSchema,
  nameSchema,
  sessionIdSchema,
  storageIdSchema,
  templateIdSchema,
  vmIdSchema,
  volumeIdSchema,
} from './ids.ts'
import { diskFormatSchema } from './machine-order.ts'
import { proofSchema } from './proof.ts'

export const desiredPowerSchema = z.enum(['running', 'paused', 'stopped'])
export type DesiredPower = z.infer<typeof desiredPowerSchema>

export const vmDiskSchema = z.object({
  volumeId: volumeIdSchema,
  storageId: storageIdSchema,
  format: diskFormatSchema,
  sizeMiB: z.number().int().min(1),
})

export const vmSpecSchema = z.object({
  id: vmIdSchema,
  name: nameSchema,
  number: z.number().int().min(1).max(65535),
  cpus: z.number().int().min(1).max(64),
  memoryMiB: z.number().int().min(16),
  templateId: templateIdSchema,
  templateVersion: z.string(),
  hardware: pinnedHardwareSchema,
  macAddress: macAddressSchema,
  address: ipv4AddressSchema,
  disks: z.array(vmDiskSchema).min(1),
  extraCommandLine: z.string(),
  generationId: z.uuid(),
  /** Restarted on another host when its own is proven dead. Needs shared storage. */
  ha: z.boolean(),
  /** Started again after its host or the whole cloud comes back. */
  autostart: z.boolean(),
  /** Lower starts first; machines of one order start together. */
  startOrder: z.number().int().min(0).max(1000),
  desired: desiredPowerSchema,
  /** How a wish for `stopped` is carried out. */
  stopMode: z.enum(['shutdown', 'kill']),
  /** Where its local disks are; null when every disk is on shared storage. */
  boundToHostId: hostIdSchema.nullable(),
  /** `creating` and `deleting` belong to a task; only `live` machines are placed and started. */
  lifecycle: z.enum(['creating', 'live', 'deleting']),
  createdAt: z.iso.datetime(),
})
export type VmSpec = z.infer<typeof vmSpecSchema>

export const vmPlacementSchema = z.object({
  hostId: hostIdSchema,
  /** Grows with every change of owner and every ordered start. */
  epoch: z.number().int().min(1),
  /** The agent's session that the epoch's start was ordered from; another session voids the order. */
  session: sessionIdSchema,
  /** The boot of the host that it was ordered on; a newer boot proves it dead there. */
  bootId: z.string(),
  /** Whether a lease may kill it there: decided when it was placed, told to its agent, and what every later proof is judged by. */
  leased: z.boolean(),
  term: z.number().int(),
  placedAt: z.iso.datetime(),
  /** One sentence: why there, why now. */
  reason: z.string(),
  /** On what the machine was known to be dead where it was before; null for a first start. */
  proof: proofSchema.nullable(),
  /** Proof of the last start that was made because a host or process had failed; stays after ordinary starts. */
  lastRecovery: z.object({ at: z.iso.datetime(), fromHostId: hostIdSchema, proof: proofSchema }).nullable(),
})
export type VmPlacement = z.infer<typeof vmPlacementSchema>

/** What a machine is doing, as its agent sees it. `frozen`: paused by the agent because it has no licence at the moment. */
export const machinePhaseSchema = z.enum([
  'starting',
  'running',
  'paused',
  'frozen',
  'stopping',
  'restarting',
  'stopped',
  'failed',
])
export type MachinePhase = z.infer<typeof machinePhaseSchema>

export const machineReportSchema = z.object({
  vmId: vmIdSchema,
  epoch: z.number().int(),
  incarnation: z.number().int(),
  phase: machinePhaseSchema,
  pid: z.number().int().nullable(),
  /** Why it stopped or failed: a sentence. */
  detail: z.string(),
  /** True when it ended because the guest shut itself down. */
  guestShutdown: z.boolean(),
  /** Whether a lease may kill it, as it was ordered. */
  leased: z.boolean(),
  /** How often its process has died and been restarted on the spot since the order. */
  crashes: z.number().int(),
})
export type MachineReport = z.infer<typeof machineReportSchema>

/** What people see. `unknown`: its host doesn't answer and isn't proven dead. `lost`: its host is dead, and it can't run elsewhere. */
export const vmStateSchema = z.enum([
  'creating',
  'deleting',
  'stopped',
  'waiting',
  'starting',
  'running',
  'paused',
  'frozen',
  'stopping',
  'restarting',
  'failed',
  'unknown',
  'lost',
])
export type VmState = z.infer<typeof vmStateSchema>

export const vmStatusSchema = z.object({
  state: vmStateSchema,
  since: z.iso.datetime(),
  hostId: hostIdSchema.nullable(),
  epoch: z.number().int(),
  incarnation: z.number().int(),
  pid: z.number().int().nullable(),
  /** A sentence: why it is as it is, and what it waits for. */
  detail: z.string(),
  crashes: z.number().int(),
})
export type VmStatus = z.infer<typeof vmStatusSchema>

export const vmActionSchema = z.enum(['start', 'stop', 'kill', 'pause', 'resume', 'reset', 'delete', 'console'])
export type VmAction = z.infer<typeof vmActionSchema>

const anyRunning: readonly VmState[] = ['running', 'paused', 'frozen', 'stopping', 'starting', 'restarting']

/** In which states an action makes sense: the server refuses by this table, the CLI completes by it, the console greys its buttons by it. */
export const vmActionTable: Readonly<Record<VmAction, readonly VmState[]>> = {
  start: ['stopped', 'failed', 'waiting', 'lost', 'unknown', 'running', 'starting', 'restarting'],
  stop: ['running', 'starting', 'restarting', 'waiting', 'stopping', 'stopped', 'failed', 'lost'],
  kill: [...anyRunning, 'waiting', 'failed', 'unknown', 'lost', 'stopped'],
  pause: ['running', 'paused'],
  resume: ['paused', 'running'],
  reset: ['running', 'paused'],
  delete: ['stopped', 'failed', 'waiting', 'lost', 'creating', 'deleting'],
  console: ['running', 'paused', 'frozen', 'starting', 'stopping', 'restarting'],
}
