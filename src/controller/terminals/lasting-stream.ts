/**
 * A stream that outlives what it is connected to: when the other end closes, it is opened again, wherever that is by then. What is written
 * meanwhile waits.
 */
import { Duplex } from 'node:stream'
import type { Clock } from '../../model/clock.ts'

export type LastingStreamOptions = {
  readonly clock: Pick<Clock, 'bootTimeMs' | 'sleep'>
  /** Opens the other end; throws while there is none. */
  open(): Promise<Duplex>
  /** There is nothing to wait for any more: the stream ends in good order. */
  isOver(): boolean
}

const retryMs = 200
/** As long as a machine may take to come up somewhere else. */
const givesUpAfterMs = 120_000

/** Throws what the first opening throws. */
export async function openLastingStream(options: LastingStreamOptions): Promise<Duplex> {
  const first = await options.open()
  let inner = first
  let attached = Promise.resolve()
  const stream: Duplex = new Duplex({
    allowHalfOpen: false,
    read: () => void inner.resume(),
    write(chunk: Buffer, _encoding, done) {
      void attached.then(() => {
        if (inner.writable) inner.write(chunk)
        done()
      })
    },
    destroy(error, done) {
      inner.destroy()
      done(error)
    },
  })
  const attach = (opened: Duplex) => {
    inner = opened
    opened.on('error', () => undefined)
    opened.on('data', (chunk) => {
      if (!stream.push(chunk)) opened.pause()
    })
    opened.once('close', () => {
      if (!stream.destroyed) attached = attachAnew()
    })
    // It was called off while this one was being opened.
    if (stream.destroyed) opened.destroy()
  }
  const attachAnew = async () => {
    const givesUpAtMs = options.clock.bootTimeMs() + givesUpAfterMs
    while (!stream.destroyed && !options.isOver() && options.clock.bootTimeMs() < givesUpAtMs) {
      await options.clock.sleep(retryMs)
      const opened = options.isOver() ? undefined : await options.open().catch(() => undefined)
      if (opened !== undefined) return attach(opened)
    }
    stream.push(null)
    stream.destroy()
  }
  stream.on('error', () => undefined)
  attach(first)
  return stream
}
