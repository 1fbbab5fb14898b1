/** Options of `vm set` that say how large a VM is and what it may take of its host. */
import { type Command, InvalidArgumentError } from 'commander'
import type { Limits } from '../model/growth.ts'
import { sizeOption, wholeNumberOption } from './option-parsers.ts'

export type SizeOptions = {
  readonly cpus?: number
  readonly memory?: number
  readonly cpuLimit?: number | null
  readonly cpuWeight?: number | null
  readonly diskIops?: number | null
  readonly diskBandwidth?: number | null
  readonly networkBandwidth?: number | null
  readonly force?: boolean
}

export function addSizeOptions(command: Command): Command {
  return command
    .option('--cpus <number>', 'virtual CPUs, while it runs as far as there is room', wholeNumberOption)
    .option('--memory <size>', 'memory, such as 512MiB or 2G, while it runs as far as its guest agrees', sizeOption)
    .option('--cpu-limit <percent>', 'at most so much of one processor, such as 150, or none', limitOption)
    .option('--cpu-weight <number>', 'its share when processors are short, 100 for the usual one, or none', limitOption)
    .option('--disk-iops <number>', 'at most so many operations a second on its disks, or none', limitOption)
    .option('--disk-bandwidth <mib>', 'at most so many MiB a second on its disks, or none', limitOption)
    .option('--network-bandwidth <mbit>', 'at most so many Mbit a second on each card and way, or none', limitOption)
    .option('--force', 'also when it breaks the reserve for failing hosts')
}

/** Only what was given. */
export function limitsOf(options: SizeOptions): Partial<Limits> | undefined {
  const given: Partial<Limits> = {
    ...(options.cpuLimit === undefined ? {} : { cpuPercent: options.cpuLimit }),
    ...(options.cpuWeight === undefined ? {} : { cpuWeight: options.cpuWeight }),
    ...(options.diskIops === undefined ? {} : { diskIops: options.diskIops }),
    ...(options.diskBandwidth === undefined ? {} : { diskMiBPerSecond: options.diskBandwidth }),
    ...(options.networkBandwidth === undefined ? {} : { networkMbitPerSecond: options.networkBandwidth }),
  }
  return Object.keys(given).length === 0 ? undefined : given
}

function limitOption(text: string): number | null {
  if (text === 'none') return null
  const limit = wholeNumberOption(text)
  if (limit === 0) throw new InvalidArgumentError("It has to be at least 1, or 'none'.")
  return limit
}
