/** What runs of a machine on the hosts of a laboratory, as their cgroups tell. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { processesIn } from '../src/linux/cgroup.ts'
import type { OpenLaboratory } from './open-laboratory.ts'

const recordSchema = z.looseObject({
  cgroupDirectory: z.string(),
  hosts: z.array(z.looseObject({ name: z.string() })),
})

/** Process ids by the names of the hosts that have any. */
export async function processesOf({ folder }: OpenLaboratory, vmId: string): Promise<ReadonlyMap<string, number[]>> {
  const record = recordSchema.parse(JSON.parse(await readFile(join(folder, 'lab.json'), 'utf8')))
  const onHosts = await Promise.all(
    record.hosts.map(async ({ name }) => {
      const members = await processesIn(join(record.cgroupDirectory, name, 'machines', vmId))
      return [name, members] as const
    }),
  )
  return new Map(onHosts.filter(([, members]) => members.length > 0))
}
