/**
 * A host's hardware watchdog, on a socket in the host's tree. A client writes `arm <timeoutMs>` and then `pet`, a line each. Nothing that
 * a client does or leaves out disarms it (nowayout): only the loss of power does.
 */
import { mkdir, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { eachLine } from '../../linux/each-line.ts'
import { createCountdown } from './countdown.ts'

export type EmulatedWatchdog = {
  /** Null when it isn't armed. */
  armedMs(): number | null
  silentMs(): number | null
  /** For a host that was armed before this process was started anew: its clients get this long to come back, on top. */
  resume(timeoutMs: number, graceMs: number): void
  /** The power was lost: not armed, and every client gone. */
  powerLost(): void
}

export type EmulatedWatchdogOptions = {
  readonly socketPath: string
  readonly onArmed: (timeoutMs: number) => void
  readonly onExpired: (expiry: { readonly silentMs: number; readonly timeoutMs: number }) => void
}

const shortestMs = 10
const longestMs = 3_600_000

export async function serveEmulatedWatchdog(options: EmulatedWatchdogOptions): Promise<EmulatedWatchdog> {
  let armedMs: number | null = null
  const clients = new Set<Socket>()
  const countdown = createCountdown((silentMs) => {
    const timeoutMs = armedMs ?? 0
    armedMs = null
    options.onExpired({ silentMs, timeoutMs })
  })

  const obey = (line: string, socket: Socket) => {
    if (line === 'pet') return countdown.restart()
    const timeoutMs = requestedTimeout(line)
    if (timeoutMs === undefined) return void socket.write('error: write arm <timeoutMs> or pet\n')
    countdown.start(timeoutMs)
    socket.write(`armed ${timeoutMs}\n`)
    if (armedMs === timeoutMs) return
    armedMs = timeoutMs
    options.onArmed(timeoutMs)
  }

  await mkdir(dirname(options.socketPath), { recursive: true })
  await rm(options.socketPath, { force: true })
  const server = createServer((socket) => {
    clients.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => clients.delete(socket))
    eachLine(socket, (line) => obey(line.trim(), socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.socketPath, resolve)
  })

  return {
    armedMs: () => armedMs,
    silentMs: () => (countdown.isRunning() ? countdown.silentMs() : null),
    resume(timeoutMs, graceMs) {
      countdown.start(timeoutMs + graceMs)
      armedMs = timeoutMs
    },
    powerLost() {
      countdown.stop()
      armedMs = null
      for (const client of clients) client.destroy()
    },
  }
}

function requestedTimeout(line: string): number | undefined {
  const timeoutMs = Number(/^arm (\d{1,9})$/.exec(line)?.[1])
  return timeoutMs >= shortestMs && timeoutMs <= longestMs ? timeoutMs : undefined
}
