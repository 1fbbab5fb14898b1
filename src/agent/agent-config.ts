/** What an agent and its watchdog process read at start. Everything else they learn from the controller. */
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { DialtoneError } from '../model/dialtone-error.ts'
import { nameSchema } from '../model/ids.ts'

export const agentConfigSchema = z.object({
  hostName: nameSchema,
  /** The host's own tree: identity, machines, images, local storage, logs. */
  dataDirectory: z.string(),
  controllerUrl: z.url(),
  /** One-time token; needed until the host has joined. */
  joinToken: z.string().optional(),
  listen: z.object({ host: z.string(), port: z.number().int() }),
  bridge: z.string(),
  network: z.object({ subnet: z.string(), gateway: z.string(), prefixLength: z.number().int() }),
  /** cgroup v2 directory of this host; machines get `machines/<id>` below it. */
  cgroupDirectory: z.string(),
  /** Where this boot's id stands; the kernel's own by default. */
  bootIdFile: z.string().default('/proc/sys/kernel/random/boot_id'),
  watchdogSocket: z.string(),
  hardwareWatchdog: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('emulated'), socket: z.string() }),
    z.object({ kind: z.literal('device'), path: z.string() }),
    z.object({ kind: z.literal('none') }),
  ]),
  /** What machines may use here; the whole machine by default. */
  capacity: z.object({ memoryMiB: z.number().int(), cpus: z.number().int() }).optional(),
  /**
   * Where images of machines' memory are kept: a RAM-backed file system, or a fast local one; never one of the network. Without a directory
   * one is made in the data directory; without a budget a quarter of the host's memory may be used.
   */
  memoryImages: z
    .object({ directory: z.string().optional(), budgetMiB: z.number().int().min(64).optional() })
    .default({}),
  qemu: z.object({ fileLocking: z.boolean().default(true) }).default({ fileLocking: true }),
})
export type AgentConfig = z.infer<typeof agentConfigSchema>

export async function readAgentConfig(path: string): Promise<AgentConfig> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new DialtoneError('machine-setup', `the agent's configuration ${path} cannot be read`, { cause })
  })
  const parsed = agentConfigSchema.safeParse(JSON.parse(text))
  if (parsed.success) return parsed.data
  throw new DialtoneError(
    'machine-setup',
    `the agent's configuration ${path} is wrong: ${z.prettifyError(parsed.error)}`,
  )
}
