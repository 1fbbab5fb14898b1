/** The thread that owns the state file: one request at a time, in the order they come. Started by `start-sqlite-thread.ts`. */
import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { openStateFile } from './open-state-file.ts'
import { sqliteFailure } from './sqlite-database.ts'
import { createSqliteKeyspace, type SqliteKeyspace } from './sqlite-keyspace.ts'
import {
  isThreadOptions,
  type Numbered,
  type SqliteReply,
  type SqliteRequest,
  type SqliteThreadOptions,
} from './sqlite-messages.ts'

if (parentPort !== null) {
  assert(isThreadOptions(workerData), 'the thread is started with its options')
  serve(parentPort, workerData)
}

function serve(port: NonNullable<typeof parentPort>, options: SqliteThreadOptions): void {
  const send = (message: Numbered<SqliteReply>) => port.postMessage(message)
  try {
    const database = openStateFile(options)
    const keyspace = createSqliteKeyspace(database, options)
    let isSweeping = false

    // Small steps, each after the requests that wait, so that nobody waits for the forgetting.
    function sweepLater(): void {
      if (isSweeping) return
      isSweeping = true
      setImmediate(() => {
        isSweeping = false
        try {
          if (keyspace.sweep()) sweepLater()
        } catch {
          // The rows are unreachable already; the next write takes up the sweep, and fails loudly if the disk does.
        }
      })
    }

    port.on('message', ({ id, body }: Numbered<SqliteRequest>) => {
      if (body.kind === 'close') {
        database.close()
        send({ id, body: { kind: 'closed' } })
        port.close()
        return
      }
      const reply = answer(keyspace, body, options.path)
      send({ id, body: reply })
      if (reply.kind === 'failed' && reply.isFatal) port.close()
      else if (body.kind === 'write') sweepLater()
    })
    send({ id: 0, body: { kind: 'opened', summary: keyspace.summary() } })
    sweepLater()
  } catch (error) {
    send({ id: 0, body: failed(options.path, error) })
  }
}

function answer(
  keyspace: SqliteKeyspace,
  request: Exclude<SqliteRequest, { kind: 'close' }>,
  path: string,
): SqliteReply {
  try {
    switch (request.kind) {
      case 'get':
        return { kind: 'get', entry: keyspace.get(request.key) }
      case 'range':
        return { kind: 'range', ...keyspace.range(request.prefix) }
      case 'history':
        return { kind: 'history', page: keyspace.history(request.afterRevision, request.prefix) }
      case 'write':
        return { kind: 'write', outcomes: keyspace.write(request.operations) }
    }
  } catch (error) {
    return failed(path, error)
  }
}

/** A full disk was rolled back cleanly. After any other fault nobody knows what a commit left on the disk. */
function failed(path: string, error: unknown): SqliteReply {
  if (error instanceof DialtoneError) return { kind: 'failed', code: error.code, message: error.message, isFatal: true }
  if (sqliteFailure(error) === 'full') {
    const message = `The disk of ${path} is full; nothing was written.`
    return { kind: 'failed', code: 'storage-failed', message, isFatal: false }
  }
  const reason = error instanceof Error ? error.message : String(error)
  const message = `${path} failed: ${reason}. The store stops here; open it anew.`
  return { kind: 'failed', code: 'storage-failed', message, isFatal: true }
}
