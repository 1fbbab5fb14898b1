/** Writes log lines as JSON to a stream: time, level, event, fields. An Error among the fields is written with its chain of causes. */
import type { LogFields, Logger } from '../model/logger.ts'

export function createJsonLogger(output: NodeJS.WritableStream, base: LogFields): Logger {
  const write = (level: string) => (event: string, fields: LogFields) => {
    const line = { at: new Date().toISOString(), level, event, ...base, ...fields }
    output.write(
      `${JSON.stringify(line, (_key, value: unknown) => (value instanceof Error ? describeError(value) : value))}\n`,
    )
  }
  return { info: write('info'), warn: write('warn'), error: write('error') }
}

function describeError(error: Error): LogFields {
  const cause = error.cause instanceof Error ? describeError(error.cause) : error.cause
  return {
    name: error.name,
    message: error.message,
    ...('code' in error ? { code: error.code } : {}),
    ...(cause === undefined ? {} : { cause }),
    stack: error.stack,
  }
}
