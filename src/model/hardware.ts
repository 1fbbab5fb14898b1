/** What a VM's virtual hardware is made of. Pinned when the VM is created, so that an upgrade of a host never changes a machine unasked. */
import { z } from 'zod'

export const acceleratorSchema = z.enum(['kvm', 'tcg'])
export type Accelerator = z.infer<typeof acceleratorSchema>

export const pinnedHardwareSchema = z.object({
  /** A versioned machine type, such as pc-q35-7.2. */
  machineType: z.string().regex(/^[a-z0-9.-]+$/),
  cpuModel: z.string().regex(/^[A-Za-z0-9._,+-]+$/),
  accelerator: acceleratorSchema,
  /** Version of QEMU that first ran the machine, such as 7.2.22. */
  qemuVersion: z.string(),
})
export type PinnedHardware = z.infer<typeof pinnedHardwareSchema>

export const macAddressSchema = z
  .string()
  .regex(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/, 'must be a MAC address like 52:54:00:12:34:56')
export const ipv4AddressSchema = z.ipv4()

/** The most network cards that a machine can have; their numbers are 0 to 7. */
export const maximumNics = 8
export const nicNumberSchema = z
  .number()
  .int()
  .min(0)
  .max(maximumNics - 1)

/**
 * Size of guest memory as QEMU is told it, in KiB. Under TCG 8 KiB are added: precopy of a block whose size is a multiple of 256 KiB
 * loses dirty pages on QEMU before 9.0, and the odd size forces the correct path. `isEven`: its firmware can't do with that, and it is moved
 * standing still.
 */
export function guestMemoryKiB(memoryMiB: number, accelerator: Accelerator, isEven = false): number {
  return memoryMiB * 1024 + (accelerator === 'tcg' && !isEven ? 8 : 0)
}
