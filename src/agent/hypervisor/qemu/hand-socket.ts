/** A stream that QEMU opens to this process: over a socket in its run directory, where it works and may not make one itself. */
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { DialtoneError } from '../../../model/dialtone-error.ts'

const connectTimeoutMs = 5000

export type HandedSocket = {
  /** What QEMU finds it by: it works in its run directory. */
  readonly name: string
  /** Tells QEMU to connect. */
  tell(): Promise<unknown>
  /** Takes what connects at once, before `tell` is through. */
  onConnected?(socket: Socket): void
}

/** Resolves when QEMU has connected and `tell` is through. Nobody else is listened to afterwards. */
export async function handSocket(runDirectory: string, { name, tell, onConnected }: HandedSocket): Promise<Socket> {
  const path = join(runDirectory, name)
  await rm(path, { force: true })
  const connected = Promise.withResolvers<Socket>()
  connected.promise.catch(() => undefined)
  const server = createServer((socket) => {
    onConnected?.(socket)
    connected.resolve(socket)
  })
  const late = new DialtoneError('deadline-exceeded', 'QEMU did not begin to send')
  const timer = setTimeout(() => connected.reject(late), connectTimeoutMs)
  try {
    server.listen({ path, readableAll: true, writableAll: true })
    await once(server, 'listening')
    await tell()
    return await connected.promise
  } finally {
    clearTimeout(timer)
    server.close()
    await rm(path, { force: true })
  }
}
