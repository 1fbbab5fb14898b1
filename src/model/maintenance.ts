/** What is done with the machines of a host that is to be empty. */
import { z } from 'zod'

export const maintenanceWishSchema = z.strictObject({
  /** How many machines are on their way at the same time. */
  parallel: z.number().int().min(1).max(16).default(2),
  /** Machines that cannot move are stopped, and start again when the maintenance ends. */
  stop: z.boolean().default(false),
  /** Machines that cannot be moved while they run are shut down and started on another host. */
  restartElsewhere: z.boolean().default(false),
})
export type MaintenanceWish = z.infer<typeof maintenanceWishSchema>

export const machineMoveSchema = z.object({
  vmName: z.string(),
  /** `refused`: nothing that is allowed takes it away. `leaves`: it is being stopped, or will be placed elsewhere by itself. */
  way: z.enum(['migrate', 'restart-elsewhere', 'stop', 'leaves', 'refused']),
  toHostName: z.string().nullable(),
  reason: z.string(),
  /** For a refused one, what stands against each host. */
  refusals: z.array(z.object({ hostName: z.string(), reason: z.string() })),
})

export const maintenancePlanSchema = z.object({
  hostName: z.string(),
  moves: z.array(machineMoveSchema),
  /** What the rest of the cloud could not do meanwhile: sentences. */
  warnings: z.array(z.string()),
})
export type MaintenancePlan = z.infer<typeof maintenancePlanSchema>
