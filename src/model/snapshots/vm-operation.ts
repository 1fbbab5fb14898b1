/**
 * A task works on a machine's disks. One at a time; and while one is open that needs them closed, nothing starts the machine: every host that
 * may hold it has let go, and whoever writes to its disks has claimed them under this epoch.
 */
import { z } from 'zod'
import { taskIdSchema } from '../ids.ts'

export const vmOperationSchema = z.object({
  taskId: taskIdSchema,
  kind: z.enum(['snapshot', 'revert', 'merge', 'clone']),
  needsClosed: z.boolean(),
  /** Under which its closed disks are claimed; null when they are open, or were never claimed by anybody. */
  epoch: z.number().int().min(1).nullable(),
  openedAt: z.iso.datetime(),
})
export type VmOperation = z.infer<typeof vmOperationSchema>

/** What others read of it, as the end of a sentence. */
export function describeOperation({ kind }: VmOperation): string {
  switch (kind) {
    case 'snapshot':
      return 'a snapshot of it is being taken'
    case 'revert':
      return 'it is being returned to a snapshot'
    case 'clone':
      return 'it is being cloned'
    case 'merge':
      return 'the layers of its disks are being merged'
  }
}
