/**
 * A machine's line to QEMU. Takes whichever of the two sockets answers, and connects anew when the connection was lost while QEMU
 * lives, so that one bad moment does not make a machine deaf for ever.
 */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { connectQmp, type QmpClient, type QmpEvent } from './qmp-client.ts'
import type { QmpCommands } from './qmp-types.ts'

/** What an order to QEMU needs: to say something, and to hear what happens. */
export type QmpLine = {
  execute<Name extends keyof QmpCommands>(
    command: Name,
    args: QmpCommands[Name]['arguments'],
    timeoutMs: number,
  ): Promise<QmpCommands[Name]['returns']>
  /** Every event from now on, until the function that it returns is called. What happens while the line is down is not told. */
  listen(listener: (event: QmpEvent) => void): () => void
}

export type QmpSession = QmpLine & {
  /** Connects unless connected. */
  connect(timeoutMs: number): Promise<void>
  isConnected(): boolean
  /** Resolves when the present connection ends; at once when there is none. */
  disconnected(): Promise<void>
  close(): void
}

/** `paths`: sockets of the same QEMU. */
export function createQmpSession(paths: readonly string[]): QmpSession {
  const listeners = new Set<(event: QmpEvent) => void>()
  const onEvent = (event: QmpEvent) => {
    for (const listener of [...listeners]) listener(event)
  }
  let client: QmpClient | undefined
  let connecting: Promise<QmpClient> | undefined
  let isClosed = false

  const adopt = (opened: QmpClient): QmpClient => {
    // The other socket is left free, and so is this one when nobody wants it any more.
    if (isClosed || client !== undefined) {
      opened.close()
      return client ?? opened
    }
    client = opened
    void opened.closed.then(() => {
      if (client === opened) client = undefined
    })
    return opened
  }
  /** All at once: a socket that another client holds is silent, which would cost the whole time-out if they were tried in turn. */
  const open = async (timeoutMs: number): Promise<QmpClient> => {
    const attempts = paths.map(async (path) => adopt(await connectQmp(path, { timeoutMs, onEvent })))
    try {
      return await Promise.any(attempts)
    } catch (error) {
      throw error instanceof AggregateError ? error.errors[0] : error
    }
  }
  const connected = async (timeoutMs: number): Promise<QmpClient> => {
    if (isClosed) throw new DialtoneError('hypervisor-failed', 'the machine has been detached from')
    if (client !== undefined) return client
    connecting ??= open(timeoutMs).finally(() => {
      connecting = undefined
    })
    return connecting
  }

  return {
    execute: async (command, args, timeoutMs) => (await connected(timeoutMs)).execute(command, args, timeoutMs),
    listen: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    connect: async (timeoutMs) => {
      await connected(timeoutMs)
    },
    isConnected: () => client !== undefined,
    disconnected: async () => {
      await client?.closed
    },
    close: () => {
      isClosed = true
      client?.close()
    },
  }
}
