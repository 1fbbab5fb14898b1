/** A VM: what its owner wants (`spec`), where it is (`placement`, written by the leader), how it is (`status`, from the agent). */
import { z } from 'zod'
import { cloudInitSchema } from './cloud-init.ts'
import { growthSchema, limitsSchema, noLimits, presentHardwareSchema } from './growth.ts'
import { guestSchema, kernelGuest } from './guest.ts'
import { ipv4AddressSchema, macAddressSchema, maximumNics, pinnedHardwareSchema } from './hardware.ts'
import {
  hostIdSchema,
  imageIdSchema,
  nameSchema,
  securityGroupIdSchema,
  sessionIdSchema,
  snapshotIdSchema,
  storageIdSchema,
  templateIdSchema,
  vmIdSchema,
  volumeIdSchema,
} from './ids.ts'
import { cdromsSchema } from './iso.ts'
import { cloneOriginSchema, diskFormatSchema, type MachineOrder, startKindSchema } from './machine-order.ts'
import { nicsOf, vmNicSchema } from './network.ts'
import { noPlacementRules, placementRulesSchema } from './placement-rules.ts'
import { proofSchema } from './proof.ts'
import { rebuiltSchema } from './rebuild/rebuilt-vm.ts'
import { imageKindSchema } from './recovery/memory-image.ts'
import { probeSchema } from './recovery/probe.ts'
import { recoverySchema } from './recovery/recovery-policy.ts'
import { membershipSchema } from './service/service.ts'
import { tagsSchema, vmNoteSchema } from './tags.ts'

export const desiredPowerSchema = z.enum(['running', 'paused', 'stopped'])
export type DesiredPower = z.infer<typeof desiredPowerSchema>

export const vmDiskSchema = z.object({
  volumeId: volumeIdSchema,
  storageId: storageIdSchema,
  format: diskFormatSchema,
  sizeMiB: z.number().int().min(1),
  /** It is to be taken out, or was: it stays the machine's, and no process has it open. */
  isDetached: z.boolean().optional(),
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
  /** How it is brought back after a failure. */
  recovery: recoverySchema,
  /** When its service answers correctly; null: nobody looks, and a running process counts as serving. */
  probe: probeSchema.nullable(),
  /** Failures may be injected into it without asking. */
  drillable: z.boolean(),
  /** The memory that it begins with, until it has become a machine of its own; null for one that boots. */
  clonedFrom: cloneOriginSchema.nullable(),
  /** Its disks begin as another machine's: at its first start its guest is told that it is a new one. */
  isUntoldClone: z.boolean().default(false),
  /** The snapshot that its present state descends from; null for none. */
  basedOnSnapshotId: snapshotIdSchema.nullable().default(null),
  /** The memory of a snapshot that its next start goes on from, until it runs. */
  resumesFrom: imageIdSchema.nullable().default(null),
  /** What it may be sent, and may send; without one it is open. */
  securityGroupIds: z.array(securityGroupIdSchema).default([]),
  /** Where its local disks are; null when every disk is on shared storage. */
  boundToHostId: hostIdSchema.nullable(),
  /** Where its owner asked for its first start; null: wherever it fits best. */
  firstHostId: hostIdSchema.nullable().default(null),
  /** `creating` and `deleting` belong to a task; only `live` machines are placed and started. */
  lifecycle: z.enum(['creating', 'live', 'deleting']),
  createdAt: z.iso.datetime(),
  /** Its labels, and where it may run. */
  placementRules: placementRulesSchema.default(noPlacementRules),
  /** All its cards; empty in records of before there were several networks: read with `nicsOf`. */
  nics: z.array(vmNicSchema).max(maximumNics).default([]),
  guest: guestSchema.default(kernelGuest),
  /** The discs in its drives. */
  cdroms: cdromsSchema.default([]),
  /** What it is told about itself; secret. */
  cloudInit: cloudInitSchema.nullable().default(null),
  tags: tagsSchema.default([]),
  /** The replica of a service that it is. */
  membership: membershipSchema.optional(),
  note: vmNoteSchema.default(''),
  /** How far it can grow while it runs, from its next start on; null: not at all. */
  growth: growthSchema.nullable().default(null),
  limits: limitsSchema.default(noLimits),
  /** Left out of one whose record was never lost. */
  rebuilt: rebuiltSchema.optional(),
})
export type VmSpec = z.infer<typeof vmSpecSchema>

export const vmPlacementSchema = z.object({
  hostId: hostIdSchema,
  /** Grows with every change of owner and every ordered start. */
  epoch: z.number().int().min(1),
  /** Epochs up to this were given out for moves that were undone: they are void. */
  spentEpoch: z.number().int().optional(),
  /** The agent's session that the epoch's start was ordered from; another session voids the order. */
  session: sessionIdSchema,
  /** The boot of the host that it was ordered on; a newer boot proves it dead there. */
  bootId: z.string(),
  /** Whether a lease may kill it there: decided when it was placed, told to its agent, and what every later proof is judged by. */
  leased: z.boolean(),
  start: startKindSchema,
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

/** `unprobed`: nobody looks. `unknown`: no answer yet since the probe looks. */
export const serviceStateSchema = z.enum(['unprobed', 'unknown', 'correct', 'wrong'])
export type ServiceState = z.infer<typeof serviceStateSchema>

/** The memory image that a recovery would resume, as the agent of the machine's host knows it. */
export const imageReportSchema = z.object({
  imageId: imageIdSchema,
  kind: imageKindSchema,
  capturedAt: z.iso.datetime(),
  pauseMs: z.number(),
  isLive: z.boolean(),
  /** What its two files occupy. */
  sizeMiB: z.number().int(),
  /** What was written to the disks of the image since: all that a recovery would lose of them. */
  changedMiB: z.number().int(),
})
export type ImageReport = z.infer<typeof imageReportSchema>

/** What stands ready for the machine's recovery on its own host. */
export const readinessReportSchema = z.object({
  /** How it was told to recover: see `configurationOf`. */
  configuration: z.string(),
  service: serviceStateSchema,
  /** How the present life began. */
  startedBy: startKindSchema,
  image: imageReportSchema.nullable(),
  spare: z.enum(['none', 'preparing', 'ready']),
  /** What is under way, or why there is no image: a sentence; empty when all is as wished. */
  note: z.string(),
})
export type ReadinessReport = z.infer<typeof readinessReportSchema>

/** What an agent can be told of a machine while it runs, as a text to be compared with `configurationOfOrder`. */
export function configurationOf(spec: VmSpec): string {
  const [, ...more] = nicsOf(spec)
  return describeConfiguration({ ...spec, moreNics: more })
}

export function configurationOfOrder(order: MachineOrder): string {
  return describeConfiguration(order)
}

type Configuration = Pick<MachineOrder, 'recovery' | 'probe' | 'cpus' | 'memoryMiB' | 'limits'> & {
  readonly disks: readonly Pick<MachineOrder['disks'][number], 'volumeId' | 'sizeMiB' | 'isDetached'>[]
  readonly moreNics: readonly Pick<MachineOrder['moreNics'][number], 'number' | 'macAddress' | 'isDetached'>[]
}

function describeConfiguration({ recovery, probe, cpus, memoryMiB, limits, ...has }: Configuration): string {
  const disks = has.disks.map(({ volumeId, sizeMiB, isDetached }) => [volumeId, sizeMiB, isDetached === true])
  const cards = has.moreNics.map(({ number, macAddress, isDetached }) => [number, macAddress, isDetached === true])
  return JSON.stringify([recovery, probe, cpus, memoryMiB, limits, disks, cards])
}

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
  /** It was sent to another host as a whole, and stands still here until the leader says that it is alone. */
  isHandedOver: z.boolean().default(false),
  /** Those of its disks that no other host has, where they are as far as this host knows; left out when there are none. */
  localDisks: z.array(z.object({ volumeId: volumeIdSchema, storageId: storageIdSchema })).optional(),
  /** It was to be filled from another host, and never ran here. */
  isArriving: z.boolean().optional(),
  /** Its disks began as another machine's, and its guest has not been told yet that it is a new one. */
  isUntold: z.boolean().optional(),
  /** It failed here, and its ladder's next rung is another host. */
  wantsOtherHost: z.boolean(),
  recovery: readinessReportSchema,
  /** Null when it does not run, or has not been looked at yet. */
  hardware: presentHardwareSchema.nullable().optional(),
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
  /** Null while no host tells. */
  recovery: readinessReportSchema.nullable(),
  hardware: presentHardwareSchema.nullable().optional(),
  /** A clone whose guest has not been told yet that it is a new machine. */
  isUntold: z.boolean().optional(),
})
export type VmStatus = z.infer<typeof vmStatusSchema>

/** The host that would take the machine over, chosen beforehand; its memory image is kept there. */
export const vmStandbySchema = z.object({
  hostId: hostIdSchema,
  session: sessionIdSchema,
  imageId: imageIdSchema,
  chosenAt: z.iso.datetime(),
  reason: z.string(),
})
export type VmStandby = z.infer<typeof vmStandbySchema>

export const vmActionSchema = z.enum([
  'start',
  'stop',
  'kill',
  'pause',
  'resume',
  'reset',
  'delete',
  'console',
  'migrate',
  'snapshot',
  'revert',
])
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
  migrate: ['running'],
  snapshot: ['running', 'paused', 'stopped', 'failed'],
  revert: ['running', 'paused', 'stopped', 'failed', 'waiting', 'lost'],
}
