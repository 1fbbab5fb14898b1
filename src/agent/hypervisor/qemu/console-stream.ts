/**
 * The serial console as a stream. A connected client that does not read would block the guest at its next line of output, so this one
 * always reads from QEMU and hangs up on a consumer that lags behind by more than a bound.
 */
import { createConnection, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { DialtoneError } from '../../../model/dialtone-error.ts'

/** How much output waits for a slow consumer before it is cut off. */
export const maximumLagBytes = 1024 * 1024

/** Connects to the console's socket. Throws `hypervisor-failed` when nothing listens or in `timeoutMs` nothing answers. */
export async function openConsoleStream(path: string, timeoutMs: number): Promise<Duplex> {
  const socket = createConnection(path)
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => {
      socket.destroy()
      reject(new DialtoneError('hypervisor-failed', `${path}: the console cannot be opened: ${why}`))
    }
    socket.setTimeout(timeoutMs, () => fail(`no answer within ${timeoutMs} ms`))
    socket.once('error', (error) => fail(error.message))
    socket.once('connect', resolve)
  })
  socket.setTimeout(0)
  return asConsole(socket)
}

function asConsole(socket: Socket): Duplex {
  const stream = new Duplex({
    allowHalfOpen: false,
    read: () => undefined,
    write: (chunk: Buffer, encoding, done) => {
      socket.write(chunk, encoding, (error) => done(error))
    },
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    },
  })
  socket.on('data', (chunk) => {
    stream.push(chunk)
    if (stream.readableLength <= maximumLagBytes) return
    const message = `the console's reader is ${maximumLagBytes} bytes behind and was cut off, so that the guest does not wait`
    stream.destroy(new DialtoneError('hypervisor-failed', message))
  })
  socket.on('close', () => stream.push(null))
  socket.on('error', (error) => stream.destroy(error))
  // Whoever has lost interest in the stream must not be ended by its error.
  stream.on('error', () => undefined)
  return stream
}
