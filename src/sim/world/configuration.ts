/** What a simulated world consists of: plain data, so that a scenario can hold it and a seed can make it. */
import { z } from 'zod'
import { mostHostFailures } from '../../model/cluster.ts'
import { nameSchema } from '../../model/ids.ts'
import { timingsSchema } from '../../model/timings.ts'
import { firstWallMs } from '../time/world-time.ts'

const hostSchema = z.object({
  name: nameSchema,
  memoryMiB: z.number().int().min(64).default(4096),
  cpus: z.number().int().min(1).default(4),
  /** It has a hardware watchdog. */
  armed: z.boolean().default(true),
  powerFence: z.boolean().default(false),
  /** How fast its clock runs. */
  clockRate: z.number().min(0.9).max(1.1).default(1),
  /** Whether it has power when the world begins. */
  isOn: z.boolean().default(true),
})

const storageSchema = z.object({
  name: nameSchema,
  /** What becomes of a write that hangs when its process is killed. */
  stuckWrites: z.enum(['hold-their-process', 'go-with-it', 'land-later']).default('hold-their-process'),
})

export const worldConfigurationSchema = z.object({
  seed: z.number().int(),
  /** What the clock on the wall shows at first. */
  beginsAtWallMs: z.number().int().default(firstWallMs),
  hosts: z.array(hostSchema).min(1).max(4095),
  /** Shared by all hosts; each host has a `local` one besides. */
  storages: z.array(storageSchema).default([{ name: 'shared', stuckWrites: 'hold-their-process' }]),
  timings: timingsSchema.partial().default({}),
  /** The controller alone is up before that: it leads for as long when the first host reports. */
  hostsComeAfterMs: z.number().int().min(0).default(0),
  hostFailuresToTolerate: z.number().int().min(0).max(mostHostFailures).default(0),
  /** Shares of the messages that are lost, doubled, or slow. */
  network: z
    .object({ lost: z.number(), doubled: z.number(), slow: z.number() })
    .default({ lost: 0, doubled: 0, slow: 0 }),
  /** Storages refuse a volume to an older life. Without that, only what the protocol rests on is left. */
  hasClaims: z.boolean().default(true),
  /** Each heartbeat and its answer are checked by their schemas; orders always are. */
  checksHeartbeats: z.boolean().default(false),
})

export type WorldConfiguration = z.infer<typeof worldConfigurationSchema>
/** What has to be said of it. */
export type WorldWish = z.input<typeof worldConfigurationSchema>
