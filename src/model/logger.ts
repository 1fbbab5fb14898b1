/** One structured line for each decision and each change of state. The real one writes JSON lines; scenarios collect them. */
export type LogFields = Readonly<Record<string, unknown>>

export type Logger = {
  info(event: string, fields: LogFields): void
  warn(event: string, fields: LogFields): void
  error(event: string, fields: LogFields): void
}
