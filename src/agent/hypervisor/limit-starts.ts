/**
 * Lets only so many processes of machines start at the same time. Forty at once would all be late, and the host with them: its agent, its
 * watchdog and the machines that run share the processors.
 */
import type { Hypervisor } from './hypervisor.ts'

/** Starts, spares and bakes beyond `atOnce` wait for their turn, in the order in which they came. */
export function limitStarts(hypervisor: Hypervisor, atOnce: number): Hypervisor {
  const waiting: (() => void)[] = []
  let running = 0
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
  return {
    ...hypervisor,
    start: (definition) => inTurn(() => hypervisor.start(definition)),
    prepare: (shape, image, how) => inTurn(() => hypervisor.prepare(shape, image, how)),
    receive: (definition, disks) => inTurn(() => hypervisor.receive(definition, disks)),
    bake: (shape, streamPath, into) => inTurn(() => hypervisor.bake(shape, streamPath, into)),
  }
}
