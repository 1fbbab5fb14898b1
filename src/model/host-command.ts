/** A command that an administrator has a host run, such as the upgrade of its packages. */
import { z } from 'zod'

/** Which run of it: asked again under the same name, it is the same run. */
export const hostCommandRunSchema = z.string().regex(/^task-[a-z0-9]{8}$/, 'must be the id of its task')

export const hostCommandReportSchema = z.object({
  /** `cut-off`: it ended without a word, as by a new boot of the host. */
  state: z.enum(['running', 'ended', 'cut-off']),
  exitCode: z.number().int().nullable(),
  /** The end of what it has written so far. */
  output: z.string(),
})
export type HostCommandReport = z.infer<typeof hostCommandReportSchema>
