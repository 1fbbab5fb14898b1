/**
 * What lies between the processes of a simulated world. Messages take their time, overtake each other, get lost and come twice, and a way
 * can be cut, in one direction or in both. What is caught in a cut waits there until the way is free again, as in a socket that sends again
 * and again, and comes late, or its connection breaks.
 */
import type { SeededRandom } from '../seeded-random.ts'
import type { WorldTime } from '../time/world-time.ts'

/** Where messages come from and go to: `controller`, the name of a host, `fences`. */
export type Place = string

export type NetworkQuality = {
  /** Shares of the messages. */
  readonly lost: number
  readonly doubled: number
  readonly slow: number
  readonly delayMs: readonly [number, number]
  readonly slowDelayMs: readonly [number, number]
}

export const calmNetwork: NetworkQuality = {
  lost: 0,
  doubled: 0,
  slow: 0,
  delayMs: [0.2, 1.5],
  slowDelayMs: [20, 200],
}

export type Message = {
  arrive(): void
  /** The connection that it was on broke, and its sender hears of it. */
  lost?(): void
}

export type SimulatedNetwork = {
  /** On its way: it arrives once, twice or never. */
  send(from: Place, to: Place, message: Message): void
  /** Neither lost nor doubled: what keeps its own order over a connection. Cut, it never arrives. */
  sendOnce(from: Place, to: Place, arrive: () => void): void
  /** Nothing passes this way until the answer is called. Cuts of the same way add up. */
  cut(from: Place, to: Place): () => void
  isCut(from: Place, to: Place): boolean
  /** Whether the next call has to connect first: connections are kept for a while. */
  isFreshConnection(): boolean
  /** It is like that until the answer is called, or until it becomes otherwise in the meantime. */
  become(quality: NetworkQuality): () => void
  /** The sender is gone, with all that it had not got rid of yet. */
  forget(place: Place): void
}

type Caught = { readonly from: Place; readonly to: Place; readonly message: Message }

const freshShare = 0.2
/** Of what is lost, or caught in a cut: the kernel sends it again, and it comes late; else its connection breaks. */
const sentAgainShare = 0.6

export function createSimulatedNetwork(time: WorldTime, random: SeededRandom): SimulatedNetwork {
  const cuts = new Map<string, number>()
  let caught: readonly Caught[] = []
  let qualities: readonly NetworkQuality[] = []
  let quality = calmNetwork
  const wayOf = (from: Place, to: Place) => `${from}>${to}`

  const carry = (arrive: () => void) => {
    const isSlow = quality.slow > 0 && random.chance(quality.slow)
    const [least, most] = isSlow ? quality.slowDelayMs : quality.delayMs
    time.after(random.between(least, most), arrive)
  }

  return {
    send(from, to, message) {
      const { arrive, lost = () => undefined } = message
      if (cuts.has(wayOf(from, to))) {
        caught = [...caught, { from, to, message }]
        return
      }
      if (quality.lost > 0 && random.chance(quality.lost)) {
        const isSentAgain = random.chance(sentAgainShare)
        time.after(random.between(200, 1_500), isSentAgain ? arrive : lost)
        return
      }
      carry(arrive)
      if (quality.doubled > 0 && random.chance(quality.doubled)) carry(arrive)
    },
    sendOnce(from, to, arrive) {
      if (!cuts.has(wayOf(from, to))) carry(arrive)
    },
    cut(from, to) {
      const way = wayOf(from, to)
      cuts.set(way, (cuts.get(way) ?? 0) + 1)
      let isOver = false
      return () => {
        if (isOver) return
        isOver = true
        const left = (cuts.get(way) ?? 1) - 1
        if (left > 0) return void cuts.set(way, left)
        cuts.delete(way)
        const freed = caught.filter((one) => one.from === from && one.to === to)
        caught = caught.filter((one) => one.from !== from || one.to !== to)
        for (const { message } of freed)
          carry(random.chance(sentAgainShare) ? message.arrive : (message.lost ?? message.arrive))
      }
    },
    isCut: (from, to) => cuts.has(wayOf(from, to)),
    isFreshConnection: () => random.chance(freshShare),
    become(next) {
      qualities = [...qualities, next]
      quality = next
      return () => {
        qualities = qualities.filter((one) => one !== next)
        quality = qualities.at(-1) ?? calmNetwork
      }
    },
    forget(place) {
      caught = caught.filter(({ from }) => from !== place)
    },
  }
}
