/** The product's own log lines, with the world's time and who wrote them. Timelines are made of these. */
import type { LogFields, Logger } from '../../model/logger.ts'
import type { WorldTime } from '../time/world-time.ts'

export type LogLine = {
  readonly atMs: number
  /** `controller`, `h1/agent`, `h1/watchdog`, `h1/host`, or `world` for what was done to it. */
  readonly who: string
  readonly level: 'info' | 'warn' | 'error'
  readonly event: string
  readonly fields: LogFields
}

export type WorldLog = {
  readonly lines: readonly LogLine[]
  loggerOf(who: string): Logger
}

export function createWorldLog(time: WorldTime): WorldLog {
  const lines: LogLine[] = []
  return {
    lines,
    loggerOf(who) {
      const write = (level: LogLine['level']) => (event: string, fields: LogFields) =>
        void lines.push({ atMs: time.nowMs(), who, level, event, fields })
      return { info: write('info'), warn: write('warn'), error: write('error') }
    },
  }
}

/** `   12.345 h1/agent machine.phase vmId=vm-… from=starting to=running`. */
export function formatLine({ atMs, who, event, fields }: LogLine): string {
  const words = Object.entries(fields).flatMap(([key, value]) =>
    value === undefined || value === null || value === '' ? [] : [`${key}=${formatValue(value)}`],
  )
  return [`${(atMs / 1000).toFixed(3).padStart(9)} ${who.padEnd(12)} ${event}`, ...words].join(' ')
}

function formatValue(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message)
  if (typeof value === 'string') return /^[\w.:/@-]+$/.test(value) ? value : JSON.stringify(value)
  return JSON.stringify(value) ?? String(value)
}
