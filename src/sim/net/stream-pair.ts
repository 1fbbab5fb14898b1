/** A two-way byte stream between two places: what goes in at one end comes out at the other, in order, as long as the way is free. */
import { Duplex } from 'node:stream'
import type { WorldTime } from '../time/world-time.ts'
import type { Place, SimulatedNetwork } from './simulated-network.ts'

/** Both ends. What is caught in a cut is never delivered: such a stream stands still until somebody gives it up. */
export function createStreamPair(
  { network, time }: { readonly network: SimulatedNetwork; readonly time: WorldTime },
  { from, to }: { readonly from: Place; readonly to: Place },
): readonly [Duplex, Duplex] {
  const left: Duplex = createEnd(network, { from, to, other: () => right })
  const right: Duplex = createEnd(network, { from: to, to: from, other: () => left })
  for (const end of [left, right]) end.once('close', time.withStream())
  return [left, right]
}

function createEnd(
  network: SimulatedNetwork,
  { from, to, other }: { readonly from: Place; readonly to: Place; other(): Duplex },
): Duplex {
  // A stream keeps its order, which messages don't.
  const outbox: (Buffer | null | 'closed')[] = []
  const deliver = () => {
    const next = outbox.shift()
    const end = other()
    if (next === 'closed') end.destroy()
    else if (next !== undefined && !end.destroyed) end.push(next)
  }
  const send = (part: Buffer | null | 'closed') => {
    outbox.push(part)
    network.sendOnce(from, to, deliver)
  }
  const stream = new Duplex({
    allowHalfOpen: false,
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      send(chunk)
      done()
    },
    final(done) {
      send(null)
      done()
    },
    destroy(error, done) {
      send('closed')
      done(error)
    },
  })
  stream.on('error', () => undefined)
  return stream
}
