/** Clones by disks of a machine that runs: from the request until the clone is there, switched off, with 2 GiB of disk of which some 256 MiB are written. */
import { openLaboratory } from '../e2e/open-laboratory.ts'
import { benchOfCases } from './bench.ts'
import type { Figure } from './figure.ts'

const origin = 'bench'
const diskMiB = 2048
const writtenMiB = 256
const cases = { linked: { full: false }, full: { full: true } }

export const cloneDisk = benchOfCases({ name: 'clone-disk', cases, defaultRuns: 7 }, measure)

async function measure(
  name: string,
  { full }: { readonly full: boolean },
  { runs, note }: { readonly runs: number; note(line: string): void },
): Promise<readonly Figure[]> {
  await using laboratory = await openLaboratory('bench', ['--hosts', '1'])
  const { api, untilTaskEnds } = laboratory
  const body = { name: origin, template: 'tiny', memoryMiB: 128, disks: [{ sizeMiB: diskMiB }] }
  await untilTaskEnds((await api.call('createVm', { body })).task.id)
  await laboratory.inGuest(
    origin,
    `for i in $(seq ${writtenMiB}); do cat /bin/busybox; done | dd of=/dev/vdb bs=64k conv=fsync`,
  )
  const samples: number[] = []
  for (let run = 1; run <= runs; run += 1) {
    const vm = `c${run}`
    const fromMs = performance.now()
    const { task } = await api.call('cloneDisks', { params: { vm: origin }, body: { name: vm, full } })
    await untilTaskEnds(task.id)
    samples.push(performance.now() - fromMs)
    note(`clone-disk ${name} ${run}/${runs}: ${samples.at(-1)?.toFixed(0)} ms`)
    await untilTaskEnds((await api.call('deleteVm', { params: { vm } })).task.id)
  }
  const conditions = `tiny template with a disk of ${diskMiB} MiB, about ${writtenMiB} MiB of it written, origin running`
  return [{ bench: 'clone-disk', case: name, figure: 'made', unit: 'ms', samples, conditions }]
}
