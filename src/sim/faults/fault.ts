/** What can be done to a simulated world, as data: a scenario writes it down, a seed draws it, and a failure is told by it. */
import { z } from 'zod'

const host = z.string()
const storage = z.string()
const vm = z.string()
/** From then on it lasts so long; without it until the faults are ended. */
const forMs = z.number().min(0).optional()
/** `controller` or a host. */
const place = z.string()

export const faultSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('power-off'), host, forMs }),
  z.object({ kind: z.literal('host-resets'), host }),
  /** Everything on it stands still, as when the machine itself is paused. */
  z.object({ kind: z.literal('host-stands-still'), host, forMs }),
  z.object({ kind: z.literal('agent-crashes'), host }),
  z.object({ kind: z.literal('agent-stands-still'), host, forMs }),
  z.object({ kind: z.literal('watchdog-crashes'), host }),
  z.object({ kind: z.literal('watchdog-stands-still'), host, forMs }),
  z.object({ kind: z.literal('controller-crashes') }),
  z.object({ kind: z.literal('controller-stands-still'), forMs }),
  z.object({ kind: z.literal('controller-is-gone'), forMs }),
  /** The controller's state is what it was so long ago, as from a backup. */
  z.object({ kind: z.literal('state-goes-back'), byMs: z.number().min(0) }),
  /** Nothing passes from one to the other; both ways unless told. */
  z.object({ kind: z.literal('way-is-cut'), from: place, to: place, isOneWay: z.boolean().default(false), forMs }),
  /** No link of this host: neither the controller, nor others, nor its storages. */
  z.object({ kind: z.literal('host-is-cut-off'), host, withStorage: z.boolean().default(true), forMs }),
  /** No host reaches the controller, nor another host. */
  z.object({ kind: z.literal('network-is-gone'), withStorage: z.boolean().default(false), forMs }),
  z.object({
    kind: z.literal('network-is-bad'),
    lost: z.number().min(0).max(1),
    doubled: z.number().min(0).max(1),
    slow: z.number().min(0).max(1),
    slowestMs: z.number().default(200),
    forMs,
  }),
  /** From one host, or from all. */
  z.object({ kind: z.literal('storage-hangs'), storage, host: host.optional(), forMs }),
  z.object({ kind: z.literal('storage-refuses'), storage, host: host.optional(), forMs }),
  z.object({ kind: z.literal('storage-is-slow'), storage, host: host.optional(), delayMs: z.number(), forMs }),
  z.object({ kind: z.literal('storage-is-full'), storage, forMs }),
  z.object({ kind: z.literal('slot-is-torn'), storage, host }),
  z.object({ kind: z.literal('fence-lies'), host, forMs }),
  z.object({ kind: z.literal('fence-hangs'), host, forMs }),
  z.object({ kind: z.literal('fence-fails'), host, forMs }),
  z.object({ kind: z.literal('qemu-dies'), vm }),
  z.object({ kind: z.literal('qemu-stands-still'), vm, forMs }),
  z.object({ kind: z.literal('guest-panics'), vm }),
  z.object({ kind: z.literal('guest-hangs'), vm }),
  z.object({ kind: z.literal('guest-ignores-shutdown'), vm, forMs }),
  /** A disk of it returned an error. */
  z.object({ kind: z.literal('starts-fail'), host, forMs }),
  /** What the hypervisor is ordered to do at one step of a move, a resume or a capture breaks. */
  z.object({
    kind: z.literal('orders-fail'),
    host,
    order: z.enum([
      'send',
      'receive',
      'prepare',
      'take-over',
      'resume',
      'capture',
      'write-stream',
      'bake',
      'merge-layers',
    ]),
    forMs,
  }),
  z.object({ kind: z.literal('wall-clock-jumps'), host, byMs: z.number() }),
])
export type Fault = z.infer<typeof faultSchema>
export type FaultWish = z.input<typeof faultSchema>
export type FaultKind = Fault['kind']
