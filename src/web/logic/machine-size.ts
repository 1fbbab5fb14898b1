/** The size of a machine, by sliders: what can be chosen, what of it comes at once, and the command that does the same. */
import type { VmView } from '../../model/api/views.ts'

type Sized = Pick<VmView, 'cpus' | 'memoryMiB' | 'growth'>
export type SizeWish = { readonly cpus?: number; readonly memoryMiB?: number }

/** Memory in steps that people think in, up to what it can grow to, and what it has now. */
export function memoryChoices({ memoryMiB, growth }: Pick<Sized, 'memoryMiB' | 'growth'>): readonly number[] {
  const most = growth?.maximumMemoryMiB ?? Math.max(8192, 4 * memoryMiB)
  const choices = new Set([memoryMiB])
  for (let power = 64; power <= most; power *= 2)
    for (const size of [power, 1.5 * power]) if (size <= most) choices.add(size)
  return [...choices].sort((left, right) => left - right)
}

/** Only what is to be another. */
export function sizeOf(vm: Sized, chosen: { readonly cpus: number; readonly memoryMiB: number }): SizeWish {
  return {
    ...(chosen.cpus === vm.cpus ? {} : { cpus: chosen.cpus }),
    ...(chosen.memoryMiB === vm.memoryMiB ? {} : { memoryMiB: chosen.memoryMiB }),
  }
}

/** When a change of its size is there: a sentence. */
export function whenItComes({ growth, status }: Pick<VmView, 'growth' | 'status'>): string {
  if (status.state === 'stopped') return 'It has it when it is started.'
  if (growth === null) return 'It cannot grow while it runs: it has it at its next start.'
  return 'It has it at once, if its guest takes it; what has to wait for a restart is said below.'
}

export function sizeCommand(name: string, { cpus, memoryMiB }: SizeWish): string {
  const options = [
    ...(memoryMiB === undefined ? [] : [`--memory ${memoryMiB}MiB`]),
    ...(cpus === undefined ? [] : [`--cpus ${cpus}`]),
  ]
  return ['dialtone vm set', name, ...(options.length === 0 ? ['--memory SIZE --cpus NUMBER'] : options)].join(' ')
}
