/** What a controller reads at start, once, typed. */
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { DialtoneError } from '../model/dialtone-error.ts'
import { nameSchema } from '../model/ids.ts'
import { timingsSchema } from '../model/timings.ts'

const endpointSchema = z.object({ host: z.string(), port: z.number().int() })

export const controllerConfigSchema = z.object({
  dataDirectory: z.string(),
  clusterName: nameSchema,
  /** The public API. Plain HTTP on a loopback address, HTTPS with the cluster's own certificate on any other. */
  apiListen: endpointSchema.default({ host: '127.0.0.1', port: 7400 }),
  /** For agents: mutual TLS. */
  agentListen: endpointSchema,
  /** Where built templates are, one folder a version. */
  templatesDirectory: z.string(),
  timings: timingsSchema.partial().optional(),
})
export type ControllerConfig = z.infer<typeof controllerConfigSchema>

export async function readControllerConfig(path: string): Promise<ControllerConfig> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new DialtoneError('machine-setup', `the controller's configuration ${path} cannot be read`, { cause })
  })
  const parsed = controllerConfigSchema.safeParse(JSON.parse(text))
  if (parsed.success) return parsed.data
  throw new DialtoneError(
    'machine-setup',
    `the controller's configuration ${path} is wrong: ${z.prettifyError(parsed.error)}`,
  )
}
