/**
 * Opens the state file for this process alone, or says why not and leaves the file as it was.
 *
 * The lock is SQLite's own exclusive one, held as long as the file is open, so that it ends with the process, however that
 * dies. It is a POSIX lock: the process that holds it must never open the file by other means (`node:fs` reads included),
 * because closing any descriptor of a file drops all locks that the process has on it.
 */
import { chmodSync, closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { integerIn, openSqliteDatabase, type SqliteDatabase, sqliteFailure, textIn } from './sqlite-database.ts'

/** "DTST": in the file's header, so that `file` and we can tell it from other databases. */
const applicationId = 0x44545354
const schemaVersion = 1

const schema = `
  CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    incarnation TEXT NOT NULL,
    revision INTEGER NOT NULL,
    -- History below this revision is forgotten, though its rows may still wait to be swept.
    oldest_revision INTEGER NOT NULL
  );
  CREATE TABLE entry (
    key TEXT PRIMARY KEY NOT NULL,
    create_revision INTEGER NOT NULL,
    mod_revision INTEGER NOT NULL,
    lease_id TEXT,
    value TEXT NOT NULL
  );
  CREATE INDEX entry_by_lease ON entry (lease_id) WHERE lease_id IS NOT NULL;
  -- A NULL value is a deletion.
  CREATE TABLE history (
    revision INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    key TEXT NOT NULL,
    create_revision INTEGER NOT NULL,
    value TEXT,
    PRIMARY KEY (revision, ordinal)
  ) WITHOUT ROWID;
  CREATE TABLE lease (lease_id TEXT PRIMARY KEY NOT NULL, ttl_ms INTEGER NOT NULL) WITHOUT ROWID;
`

/** Long enough for another process that only looks at the file to finish, short for an operator who started a second one. */
const busyTimeoutMs = 500

/**
 * Errors: `in-use` (another process has it, by pid), `image-corrupt` (damaged, not ours, or of a newer version),
 * `storage-failed` (no such folder, no right to write, disk full).
 */
export function openStateFile(options: {
  readonly path: string
  /** What a new file is called; with `renewIncarnation` also an existing one. */
  readonly incarnation: string
  readonly renewIncarnation: boolean
}): SqliteDatabase {
  const { path } = options
  try {
    if (existsSync(path)) requireSoundStateFile(path)
    else closeSync(openSync(path, 'wx', 0o600))
    return takeForWriting(options)
  } catch (error) {
    throw explained(path, error)
  }
}

/** Looks at the file through a read-only connection, which cannot change it, not even by finishing its journal. */
function requireSoundStateFile(path: string): void {
  if (statSync(path).size === 0) return
  const database = openSqliteDatabase(path, { readOnly: true, busyTimeoutMs })
  try {
    const version = requireOurs(path, database)
    if (version > schemaVersion) {
      throw new DialtoneError(
        'image-corrupt',
        `${path} was written by a newer version of Dialtone; it was left as it is.`,
      )
    }
    for (const row of database.prepare('PRAGMA quick_check(1)').each()) {
      const finding = textIn(row, 'quick_check')
      if (finding !== 'ok') throw corrupt(path, finding)
    }
    if (version > 0 && database.prepare('SELECT 1 FROM state').first() === undefined) throw corrupt(path, 'no state')
  } finally {
    database.close()
  }
}

/** The schema's version, 0 for a database with nothing in it yet. */
function requireOurs(path: string, database: SqliteDatabase): number {
  const found = integerIn(database.prepare('PRAGMA application_id').first() ?? {}, 'application_id')
  const tables = integerIn(database.prepare('SELECT count(*) AS tables FROM sqlite_schema').first() ?? {}, 'tables')
  if (found === applicationId) return integerIn(database.prepare('PRAGMA user_version').first() ?? {}, 'user_version')
  if (found === 0 && tables === 0) return 0
  throw new DialtoneError('image-corrupt', `${path} is a database of another program; it was left as it is.`)
}

function takeForWriting(options: Parameters<typeof openStateFile>[0]): SqliteDatabase {
  const database = openSqliteDatabase(options.path, { readOnly: false, busyTimeoutMs })
  try {
    database.execute('PRAGMA locking_mode = EXCLUSIVE')
    const journal = textIn(database.prepare('PRAGMA journal_mode = WAL').first() ?? {}, 'journal_mode')
    if (journal !== 'wal') {
      throw new DialtoneError('storage-failed', `The file system of ${options.path} can't hold a write-ahead log.`)
    }
    // FULL makes each commit wait for the disk: an epoch that was acknowledged must survive a loss of power.
    database.execute('PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -4096')
    database.transaction(() => {
      if (requireOurs(options.path, database) === 0) {
        database.execute(schema)
        database.execute(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schemaVersion}`)
        database.prepare('INSERT INTO state VALUES (1, ?, 1, 1)').run(options.incarnation)
      } else if (options.renewIncarnation) {
        database.prepare('UPDATE state SET incarnation = ?').run(options.incarnation)
      }
    })
    // It holds hashes of tokens; a file copied into place may have come with wider rights.
    chmodSync(options.path, 0o600)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function explained(path: string, error: unknown): DialtoneError {
  if (error instanceof DialtoneError) return error
  switch (sqliteFailure(error)) {
    case 'busy':
      return new DialtoneError(
        'in-use',
        `${path} is in use by ${holderOf(path)}: only one controller may have it open.`,
      )
    case 'corrupt':
      return corrupt(path, String(error))
    case 'not-a-database':
      return new DialtoneError('image-corrupt', `${path} is not a state file of Dialtone; it was left as it is.`)
    case 'full':
      return new DialtoneError('storage-failed', `The disk of ${path} is full.`, { cause: error })
    case 'other': {
      const reason = error instanceof Error ? error.message : String(error)
      return new DialtoneError('storage-failed', `${path} can't be opened: ${reason}.`, { cause: error })
    }
  }
}

function corrupt(path: string, finding: string): DialtoneError {
  return new DialtoneError('image-corrupt', `${path} is damaged (${finding}); it was left as it is.`)
}

/** Who holds a lock on the file. The kernel knows; it names nobody from another PID namespace. */
function holderOf(path: string): string {
  try {
    const { ino, dev } = statSync(path, { bigint: true })
    // Linux packs a device's numbers as 12 bits of major and 8 + 12 bits of minor.
    const hex = (part: bigint) => part.toString(16).padStart(2, '0')
    const device = `${hex((dev >> 8n) & 0xfffn)}:${hex((dev & 0xffn) | ((dev >> 12n) & 0xfff00n))}`
    for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
      const match = /^\d+: POSIX\s+\S+\s+WRITE (\d+) (\S+) /.exec(line)
      if (match?.[2] === `${device}:${ino}` && match[1] !== '0') return `process ${match[1]}`
    }
  } catch {
    // Without /proc the sentence is less precise, not wrong.
  }
  return 'another process'
}
