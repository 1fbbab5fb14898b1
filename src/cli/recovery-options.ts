/** The options that say how a VM recovers, what its service is, and whether drills may break it. */
import { type Command, InvalidArgumentError } from 'commander'
import { type ProbeCheck, probeCheckSchema } from '../model/recovery/probe.ts'
import type { Recovery } from '../model/recovery/recovery-policy.ts'
import { secondsOption, wholeNumberOption } from './option-parsers.ts'

export type RecoveryOptions = {
  readonly recover?: 'boot' | 'warm' | 'checkpoint'
  readonly checkpointEvery?: number
  readonly keep?: number
  readonly probe?: ProbeCheck | 'none'
  readonly probeEvery?: number
  readonly maxLatency?: number
  readonly drillable?: boolean
}

export function addRecoveryOptions(command: Command): Command {
  return command
    .option(
      '--recover <mode>',
      'boot: the disk as it is; warm: memory and root disk of when it first served; checkpoint: of the last checkpoint',
      modeOption,
    )
    .option('--checkpoint-every <time>', 'with --recover checkpoint: such as 30s or 5m', secondsOption)
    .option('--keep <number>', 'with --recover checkpoint: how many are kept', wholeNumberOption)
    .option('--probe <check>', 'a correct answer: tcp:PORT, http:PORT/PATH, exec:PROGRAM, or none', probeOption)
    .option('--probe-every <milliseconds>', 'time between two checks', wholeNumberOption)
    .option('--max-latency <milliseconds>', 'a slower answer is a failure', wholeNumberOption)
}

/** What the options say of the recovery; undefined when they say nothing. */
export function recoveryOf({ recover, checkpointEvery, keep }: RecoveryOptions): Recovery | undefined {
  const isCheckpointed = recover === 'checkpoint' || (recover === undefined && checkpointEvery !== undefined)
  if (!isCheckpointed && (checkpointEvery !== undefined || keep !== undefined))
    throw new InvalidArgumentError('--checkpoint-every and --keep go with --recover checkpoint.')
  if (isCheckpointed) return { mode: 'checkpoint', everySeconds: checkpointEvery ?? 300, keep: keep ?? 2 }
  return recover === undefined ? undefined : { mode: recover }
}

/** What the options say of the probe, in the form of the API; undefined when they say nothing. */
export function probeOf({ probe, probeEvery, maxLatency }: RecoveryOptions) {
  if (probe === 'none') return null
  if (probe === undefined) {
    if (probeEvery !== undefined || maxLatency !== undefined)
      throw new InvalidArgumentError('--probe-every and --max-latency go with --probe.')
    return undefined
  }
  return {
    check: probe,
    ...(probeEvery === undefined ? {} : { everyMs: probeEvery }),
    ...(maxLatency === undefined ? {} : { maxLatencyMs: maxLatency }),
  }
}

function modeOption(text: string): 'boot' | 'warm' | 'checkpoint' {
  if (text === 'boot' || text === 'warm' || text === 'checkpoint') return text
  throw new InvalidArgumentError('Give boot, warm or checkpoint.')
}

function probeOption(text: string): ProbeCheck | 'none' {
  if (text === 'none') return 'none'
  const check = probeCheckSchema.safeParse(checkOf(text))
  if (check.success) return check.data
  throw new InvalidArgumentError('Give tcp:22, http:80/health, exec:/usr/bin/check or none.')
}

function checkOf(text: string): unknown {
  const [, kind, rest = ''] = /^(tcp|http|exec):(.*)$/.exec(text) ?? []
  if (kind === 'tcp') return { kind, port: Number(rest) }
  if (kind === 'exec') return { kind, command: rest.split(' ') }
  const [, port, path] = /^(\d+)(\/.*)?$/.exec(rest) ?? []
  return { kind, port: Number(port), path: path ?? '/' }
}
