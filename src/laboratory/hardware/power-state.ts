/** What the hardware has to know again after it was itself started anew: switches, cables, and which watchdogs are armed. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { z } from 'zod'

export const hostPowerSchema = z.object({
  power: z.enum(['on', 'off']),
  isCut: z.boolean(),
  armedMs: z.number().nullable(),
})
export type HostPower = z.infer<typeof hostPowerSchema>

export const switchedOff: HostPower = { power: 'off', isCut: false, armedMs: null }

const powerStateSchema = z.record(z.string(), hostPowerSchema)
export type PowerState = z.infer<typeof powerStateSchema>

/** Empty when there is none yet. */
export async function readPowerState(path: string): Promise<PowerState> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}'
    throw error
  })
  return powerStateSchema.parse(JSON.parse(text))
}

/** Returns a function that writes the state as it then is. Calls during a write are answered by one more write. */
export function createPowerStateWriter(path: string, current: () => PowerState): () => Promise<void> {
  let last: Promise<void> = Promise.resolve()
  let isWaiting = false
  const write = async () => {
    isWaiting = false
    await writeFile(`${path}.new`, JSON.stringify(current()))
    await rename(`${path}.new`, path)
  }
  return () => {
    if (isWaiting) return last
    isWaiting = true
    last = last.then(write, write)
    return last
  }
}
