/** The laboratory's own command line: `node src/laboratory/main.ts VERB`. The product's command line hands its verbs on to it. */
import { CommanderError } from 'commander'
import { DialtoneError, errorCatalogue } from '../model/dialtone-error.ts'
import { laboratoryProgram } from './laboratory-program.ts'

const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const

process.exitCode = await run(process.argv.slice(2))

/** Never rejects: a failure is told on standard error, as one line of JSON with `--json`. */
async function run(argv: readonly string[]): Promise<number> {
  try {
    await laboratoryProgram().parseAsync(argv, { from: 'user' })
    return exitCodes.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    return tell(error, argv.includes('--json'))
  }
}

function tell(error: unknown, asJson: boolean): number {
  const failure = error instanceof DialtoneError ? error : undefined
  const code = failure?.code ?? 'internal'
  const message = failure?.message ?? (error instanceof Error ? (error.stack ?? error.message) : String(error))
  const { next, retryable } = errorCatalogue[code]
  if (asJson) {
    process.stderr.write(`${JSON.stringify({ error: { code, message, next, retryable, detail: failure?.detail } })}\n`)
  } else {
    process.stderr.write(`error: ${message}\n${next}\n${formatLogs(failure?.detail)}`)
  }
  return code === 'cancelled' ? exitCodes.interrupted : exitCodes.failed
}

function formatLogs(detail: unknown): string {
  if (typeof detail !== 'object' || detail === null || !('logs' in detail) || !Array.isArray(detail.logs)) return ''
  const logs: readonly unknown[] = detail.logs
  return logs.map(formatLog).join('')
}

function formatLog(log: unknown): string {
  if (typeof log !== 'object' || log === null || !('path' in log) || !('lines' in log)) return ''
  const lines: readonly unknown[] = Array.isArray(log.lines) ? log.lines : []
  return `\n${String(log.path)}\n${lines.map((line) => `  ${String(line)}\n`).join('')}`
}
