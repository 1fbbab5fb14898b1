/**
 * Locks between the laboratory's commands. A lock is a listening socket in the kernel's abstract name space: it vanishes with its holder,
 * however that dies, and it tells who holds it.
 */
import { connect, createServer, type Server } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { DialtoneError } from '../model/dialtone-error.ts'

export type LockOptions = {
  /** What the holder does, for the message to those who come second: `dialtone up`. */
  readonly purpose: string
  /** How long to wait for another holder. */
  readonly waitMs: number
}

/** Locks one laboratory's name on this machine. */
export function lockLaboratory(laboratory: string, options: LockOptions): Promise<AsyncDisposable> {
  return holdLock(`laboratory ${laboratory}`, `dialtone-laboratory-${laboratory}`, options)
}

/** Locks what laboratories share: the choice of numbers, subnets and ports, and the mount of cgroup v2. */
export function lockLaboratories(options: LockOptions): Promise<AsyncDisposable> {
  return holdLock('the laboratories of this machine', 'dialtone-laboratories', options)
}

/** Throws `in-use` with the holder's purpose and process id when the wait was too short. */
async function holdLock(what: string, name: string, { purpose, waitMs }: LockOptions): Promise<AsyncDisposable> {
  const givesUpAt = performance.now() + waitMs
  for (;;) {
    const server = await listen(`\0${name}`, `${purpose} (process ${process.pid})`)
    if (server !== undefined)
      return { [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) }
    if (performance.now() >= givesUpAt) {
      throw new DialtoneError('in-use', `${what} is being worked on by ${await askHolder(`\0${name}`)}`)
    }
    await delay(20)
  }
}

function listen(name: string, answer: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy())
      socket.end(answer)
      socket.destroySoon()
    })
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    )
    server.listen(name, () => resolve(server))
  })
}

function askHolder(name: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(name)
    const finish = () => {
      socket.destroy()
      resolve(answer || 'another command')
    }
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk
    })
    socket.setTimeout(500, finish)
    socket.once('end', finish)
    socket.once('error', finish)
  })
}
