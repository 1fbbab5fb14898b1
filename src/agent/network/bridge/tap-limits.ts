/**
 * What may pass the taps of limited machines, in each direction: one table of nftables, always replaced as a whole. What is above the rate
 * is dropped, which every transport protocol takes as a sign to send less.
 */
import { runCommand } from '../../../linux/run-command.ts'

export type TapLimits = { limit(tapNames: readonly string[], mbitPerSecond: number | null): Promise<void> }

const tableName = 'dialtone_limits'
const timeoutMs = 10_000
/** A segmented packet of the kernel's has up to 64 KiB, and several are on their way at once. */
const leastBurstBytes = 256 * 1024
const burstsPerSecond = 10

export function createTapLimits(): TapLimits {
  const limits = new Map<string, number>()
  let queue = Promise.resolve()
  const apply = () =>
    runCommand('nft', ['--file', '-'], { timeoutMs, errorCode: 'network-failed', input: compileLimits(limits) })
  return {
    limit(tapNames, mbitPerSecond) {
      const work = async () => {
        const changed = tapNames.filter((tapName) => (limits.get(tapName) ?? null) !== mbitPerSecond)
        if (changed.length === 0) return
        for (const tapName of changed)
          if (mbitPerSecond === null) limits.delete(tapName)
          else limits.set(tapName, mbitPerSecond)
        await apply()
      }
      const done = queue.then(work)
      queue = done.catch(() => undefined)
      return done
    },
  }
}

/** The whole table. Pure. */
export function compileLimits(limits: ReadonlyMap<string, number>): string {
  const rules = (direction: 'iifname' | 'oifname') =>
    [...limits].map(([tapName, mbitPerSecond]) => {
      const bytes = (mbitPerSecond * 1_000_000) / 8
      const burst = Math.max(leastBurstBytes, Math.round(bytes / burstsPerSecond))
      return `    ${direction} "${tapName}" limit rate over ${bytes} bytes/second burst ${burst} bytes drop`
    })
  return [
    `table bridge ${tableName}`,
    `delete table bridge ${tableName}`,
    ...(limits.size === 0
      ? []
      : [
          `table bridge ${tableName} {`,
          '  chain from_machines {',
          '    type filter hook prerouting priority -310; policy accept;',
          ...rules('iifname'),
          '  }',
          '  chain to_machines {',
          '    type filter hook postrouting priority 310; policy accept;',
          ...rules('oifname'),
          '  }',
          '}',
        ]),
    '',
  ].join('\n')
}
