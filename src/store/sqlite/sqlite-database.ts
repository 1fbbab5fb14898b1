/** The only file that knows `node:sqlite`, whose classes are about to be renamed. Everything else sees these few functions. */
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import { DialtoneError } from '../../model/dialtone-error.ts'

export type SqlValue = string | number | null
export type SqlRow = Readonly<Record<string, SQLOutputValue>>

export type SqlStatement = {
  readonly run: (...values: readonly SqlValue[]) => void
  readonly first: (...values: readonly SqlValue[]) => SqlRow | undefined
  /** Rows as they are asked for; leaving the loop early ends the query. */
  readonly each: (...values: readonly SqlValue[]) => Iterable<SqlRow>
}

export type SqliteDatabase = {
  readonly execute: (sql: string) => void
  readonly prepare: (sql: string) => SqlStatement
  /** All of it or nothing. */
  readonly transaction: <Result>(body: () => Result) => Result
  readonly close: () => void
}

export function openSqliteDatabase(
  path: string,
  options: { readonly readOnly: boolean; readonly busyTimeoutMs: number },
): SqliteDatabase {
  const database = new DatabaseSync(path, { readOnly: options.readOnly, timeout: options.busyTimeoutMs })
  return {
    execute: (sql) => database.exec(sql),
    prepare: (sql) => {
      const statement = database.prepare(sql)
      return {
        run: (...values) => void statement.run(...values),
        first: (...values) => statement.get(...values),
        each: (...values) => statement.iterate(...values),
      }
    },
    transaction: (body) => {
      database.exec('BEGIN IMMEDIATE')
      try {
        const result = body()
        database.exec('COMMIT')
        return result
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK')
        throw error
      }
    },
    close: () => database.close(),
  }
}

export type SqliteFailure = 'busy' | 'corrupt' | 'not-a-database' | 'full' | 'other'

/** What SQLite's result code says (its low byte; the rest is detail). */
export function sqliteFailure(error: unknown): SqliteFailure {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return 'other'
  switch (error.errcode & 0xff) {
    case 5:
    case 6:
      return 'busy'
    case 11:
      return 'corrupt'
    case 13:
      return 'full'
    case 26:
      return 'not-a-database'
    default:
      return 'other'
  }
}

export function textIn(row: SqlRow, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw unexpected(column)
  return value
}

export function integerIn(row: SqlRow, column: string): number {
  const value = row[column]
  if (typeof value !== 'number') throw unexpected(column)
  return value
}

/** Undefined stands for NULL. */
export function optionalTextIn(row: SqlRow, column: string): string | undefined {
  return row[column] === null ? undefined : textIn(row, column)
}

function unexpected(column: string): DialtoneError {
  return new DialtoneError('image-corrupt', `The state file holds something unexpected in the column ${column}.`)
}
