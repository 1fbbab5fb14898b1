/**
 * A memory image: memory, devices and disks of a machine in one instant. Valid only with exactly these disks, and only on the hardware
 * that it was captured on. Its manifest is written last: an image without a manifest isn't there.
 */
import { z } from 'zod'
import { ipv4AddressSchema, macAddressSchema, type PinnedHardware, pinnedHardwareSchema } from '../hardware.ts'
import { imageIdSchema, layerIdSchema, nameSchema, vmIdSchema, volumeIdSchema } from '../ids.ts'
import { presentShapeSchema } from '../machine-order.ts'

/** `warm`: up and serving, data volumes not attached. `checkpoint`: taken while it worked. `template`: what clones are made from. `snapshot`: what its owner can return to. */
export const imageKindSchema = z.enum(['warm', 'checkpoint', 'template', 'snapshot'])
export type ImageKind = z.infer<typeof imageKindSchema>

export const imageFileNames = ['memory', 'state'] as const
export type ImageFileName = (typeof imageFileNames)[number]

const imageFileSchema = z.object({
  bytes: z.number().int().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})

export const memoryImageManifestSchema = z.object({
  formatVersion: z.literal(1),
  id: imageIdSchema,
  kind: imageKindSchema,
  vmId: vmIdSchema,
  vmName: nameSchema,
  hardware: pinnedHardwareSchema,
  cpus: z.number().int().min(1),
  memoryMiB: z.number().int().min(1),
  /** SHA-256 over the machine's virtual devices as the hypervisor builds them: another one means that the state doesn't fit. */
  shape: z.string(),
  macAddress: macAddressSchema,
  address: ipv4AddressSchema,
  /** The disks of that instant, root first: layers that nothing writes to any more. */
  disks: z.array(z.object({ volumeId: volumeIdSchema, layerId: layerIdSchema.nullable() })).min(1),
  /** Those of them that it had got while it ran, in the order of their ports. */
  plugged: z.array(volumeIdSchema).default([]),
  /** The ports of those, in the same order; the first ones when left out. */
  ports: z.array(z.number().int()).optional(),
  /** What else its process was at that instant; nothing of an image of before machines could grow. */
  present: presentShapeSchema.nullable().optional(),
  files: z.object({ memory: imageFileSchema, state: imageFileSchema }),
  capturedAt: z.iso.datetime(),
  /** How long the machine stood still for it. */
  pauseMs: z.number(),
  /** Whether it ran on while its memory was written out, or stood still for all of it (then `pauseMs` says how long). */
  isLive: z.boolean(),
})
export type MemoryImageManifest = z.infer<typeof memoryImageManifestSchema>

/** What a machine offers, to be compared with what an image was captured on. */
export type ImageTarget = {
  readonly hardware: PinnedHardware
  readonly cpus: number
  readonly memoryMiB: number
  readonly shape: string
}

/** Why the image can't be resumed on this machine, in a sentence; undefined when it can. */
export function describeMismatch(image: MemoryImageManifest, target: ImageTarget): string | undefined {
  const pairs = [
    ['accelerator', image.hardware.accelerator, target.hardware.accelerator],
    ['QEMU version', image.hardware.qemuVersion, target.hardware.qemuVersion],
    ['machine type', image.hardware.machineType, target.hardware.machineType],
    ['CPU model', image.hardware.cpuModel, target.hardware.cpuModel],
    ['number of CPUs', String(image.cpus), String(target.cpus)],
    ['memory in MiB', String(image.memoryMiB), String(target.memoryMiB)],
    ['set of devices', image.shape, target.shape],
  ] as const
  const different = pairs.find(([, captured, present]) => captured !== present)
  if (different === undefined) return undefined
  const [what, captured, present] = different
  return `the image was captured with ${what} ${captured}, and the machine has ${present}`
}
