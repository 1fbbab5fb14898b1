/** One TCP connection to a machine's echo service, used all the time: it tells whether everything came back, and the longest wait for it. */
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export type KeptConnection = AsyncDisposable & {
  /** Ends it. Throws when it broke, or when anything else came back than was sent. */
  end(): Promise<{ readonly echoes: number; readonly longestWaitMs: number }>
}

const echoPort = 7
const usuallyEveryMs = 5
const lastEchoWithinMs = 5_000

/** Sends a numbered line again and again over the same connection, from when this resolves. */
export async function keepConnection(address: string, everyMs = usuallyEveryMs): Promise<KeptConnection> {
  const socket = connect({ host: address, port: echoPort, noDelay: true })
  const sentAtMs: number[] = []
  let received = ''
  let echoes = 0
  let longestWaitMs = 0
  let failure: Error | undefined
  const fail = (why: string) => {
    failure ??= new Error(`the connection to ${address}: ${why}`)
  }
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  socket.on('error', (error) => fail(error.message))
  socket.on('close', () => fail('it was closed'))
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    received += chunk
    for (let end = received.indexOf('\n'); end >= 0; end = received.indexOf('\n')) {
      if (received.slice(0, end) !== String(echoes)) fail(`${received.slice(0, end)} came back instead of ${echoes}`)
      longestWaitMs = Math.max(longestWaitMs, performance.now() - (sentAtMs[echoes] ?? 0))
      received = received.slice(end + 1)
      echoes += 1
    }
  })
  const send = () => {
    socket.write(`${sentAtMs.length}\n`)
    sentAtMs.push(performance.now())
  }
  const timer = setInterval(send, everyMs)
  const close = () => {
    clearInterval(timer)
    socket.removeAllListeners('close').destroy()
  }
  return {
    [Symbol.asyncDispose]: async () => close(),
    async end() {
      clearInterval(timer)
      const givesUpAtMs = performance.now() + lastEchoWithinMs
      while (failure === undefined && echoes < sentAtMs.length && performance.now() < givesUpAtMs) await delay(5)
      if (echoes < sentAtMs.length) fail(`${sentAtMs.length - echoes} of ${sentAtMs.length} lines did not come back`)
      if (failure !== undefined) throw failure
      close()
      return { echoes, longestWaitMs }
    },
  }
}
