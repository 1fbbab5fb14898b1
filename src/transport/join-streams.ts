/** Joins two byte streams both ways, with back-pressure, until both have ended or one has failed. */
import type { Duplex } from 'node:stream'
import { collectYoungGarbageWhileOpen } from './collect-young-garbage.ts'

/** Time for the last bytes to leave after the other side has closed. */
const flushMs = 5000

/** The end of one side is passed on as the end of the other's input; a failure or a sudden close of one destroys the other. */
export function joinStreams(left: Duplex, right: Duplex): void {
  collectYoungGarbageWhileOpen(left)
  passOn(left, right)
  passOn(right, left)
}

function passOn(from: Duplex, to: Duplex): void {
  from.pipe(to)
  // The reason of a failure is told by 'close', which always follows.
  from.on('error', () => {})
  from.once('close', () => {
    if (to.destroyed) return
    if (!from.readableEnded || from.errored) return void to.destroy()
    // It closed in good order: what it had sent is on its way out of `to`, which gets time to flush it.
    const timer = setTimeout(() => to.destroy(), flushMs)
    timer.unref()
    to.once('close', () => clearTimeout(timer))
  })
}
