/**
 * Talks QMP over one unix socket. Every call has a deadline, the end of the connection is seen at once, and what the other side sends
 * is bounded and checked for form. QEMU answers one client per socket and in order: a call that hangs holds up those behind it.
 */
import { createConnection, type Socket } from 'node:net'
import { z } from 'zod'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { QmpCommands, QmpEvents } from './qmp-types.ts'

export type QmpCommandName = keyof QmpCommands
export type QmpEventName = keyof QmpEvents

/** An event of the generated list, with the arguments that QEMU declares for it and its own wall clock of the moment, in ms. */
export type QmpEvent = {
  readonly [Name in QmpEventName]: { readonly event: Name; readonly data: QmpEvents[Name]; readonly atMs: number }
}[QmpEventName]

export type QmpClient = {
  /** Throws `hypervisor-failed` when QEMU refuses or goes away, `deadline-exceeded` when it does not answer (which proves no death). */
  execute<Name extends QmpCommandName>(
    command: Name,
    args: QmpCommands[Name]['arguments'],
    timeoutMs: number,
  ): Promise<QmpCommands[Name]['returns']>
  /** Resolves, with the reason, when the connection is over: QEMU's end of file, an error, or `close`. All events came before. */
  readonly closed: Promise<string>
  close(): void
}

export type QmpOptions = {
  /** Until the greeting and the negotiation are over. */
  readonly timeoutMs: number
  readonly onEvent?: (event: QmpEvent) => void
}

/** The longest known answers (all block nodes of a machine with long chains) stay far below. */
const maximumMessageBytes = 8 * 1024 * 1024
const maximumCallsInFlight = 64

const messageSchema = z.looseObject({
  id: z.number().optional(),
  QMP: z.unknown().optional(),
  event: z.string().optional(),
  data: z.unknown().optional(),
  timestamp: z.object({ seconds: z.number(), microseconds: z.number() }).optional(),
  return: z.unknown().optional(),
  error: z.object({ class: z.string(), desc: z.string() }).optional(),
})
type QmpMessage = z.infer<typeof messageSchema>

type Call = {
  readonly command: string
  readonly timer: NodeJS.Timeout
  readonly resolve: (value: unknown) => void
  readonly reject: (error: DialtoneError) => void
}

/** Connects, waits for the greeting and negotiates. Throws `hypervisor-failed` when nothing listens, `deadline-exceeded` when it is silent. */
export async function connectQmp(path: string, options: QmpOptions): Promise<QmpClient> {
  const socket = createConnection(path)
  const calls = new Map<number, Call>()
  const closed = Promise.withResolvers<string>()
  const greeting = Promise.withResolvers<void>()
  greeting.promise.catch(() => undefined)
  let lastId = 0

  const end = (reason: string) => {
    socket.destroy()
    for (const call of calls.values()) {
      clearTimeout(call.timer)
      call.reject(new DialtoneError('hypervisor-failed', `${call.command}: the connection to QEMU is over: ${reason}`))
    }
    calls.clear()
    greeting.reject(new DialtoneError('hypervisor-failed', `${path}: ${reason}`))
    closed.resolve(reason)
  }
  const accept = (message: QmpMessage) => {
    if (message.QMP !== undefined) greeting.resolve()
    else if (message.event !== undefined) options.onEvent?.(asQmpEvent(message))
    else settle(calls, message)
  }
  readMessages(socket, accept, end)

  const execute: QmpClient['execute'] = (command, args, timeoutMs) =>
    new Promise((resolve, reject) => {
      if (socket.destroyed || calls.size >= maximumCallsInFlight) {
        const why = socket.destroyed ? 'the connection to QEMU is over' : `${calls.size} calls wait already`
        reject(new DialtoneError('hypervisor-failed', `${command}: ${why}`))
        return
      }
      const id = ++lastId
      const giveUp = () => {
        calls.delete(id)
        reject(new DialtoneError('deadline-exceeded', `QEMU did not answer ${command} within ${timeoutMs} ms`))
      }
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- QEMU's own schema is the source of these types.
      const onReturn = (value: unknown) => resolve(value as QmpCommands[typeof command]['returns'])
      calls.set(id, { command, timer: setTimeout(giveUp, timeoutMs), resolve: onReturn, reject })
      socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`)
    })

  const client: QmpClient = { execute, closed: closed.promise, close: () => end('closed by the agent') }
  return negotiate(client, greeting.promise, options.timeoutMs)
}

async function negotiate(client: QmpClient, greeted: Promise<void>, timeoutMs: number): Promise<QmpClient> {
  const silence = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => silence.reject(new DialtoneError('deadline-exceeded', `QEMU did not greet within ${timeoutMs} ms`)),
    timeoutMs,
  )
  try {
    await Promise.race([greeted, silence.promise])
    await client.execute('qmp_capabilities', {}, timeoutMs)
    return client
  } catch (error) {
    client.close()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** Calls `accept` for each line, and `end` exactly once, when there is no more. */
function readMessages(socket: Socket, accept: (message: QmpMessage) => void, end: (reason: string) => void): void {
  let pieces: string[] = []
  let length = 0
  socket.setEncoding('utf8')
  socket.on('error', (error) => end(error.message))
  socket.on('close', () => end('QEMU closed the connection'))
  socket.on('data', (chunk: string) => {
    length += chunk.length
    if (length > maximumMessageBytes) return end(`a message of QEMU is longer than ${maximumMessageBytes} bytes`)
    pieces.push(chunk)
    if (!chunk.includes('\n')) return
    const lines = pieces.join('').split('\n')
    const rest = lines.pop() ?? ''
    pieces = [rest]
    length = rest.length
    for (const line of lines) {
      const message = parseMessage(line)
      if (message === undefined) return end(`malformed message of QEMU: ${line.slice(0, 200)}`)
      accept(message)
    }
  })
}

function parseMessage(line: string): QmpMessage | undefined {
  try {
    return messageSchema.parse(JSON.parse(line))
  } catch {
    return undefined
  }
}

/** An answer to a call that was given up already is dropped. */
function settle(calls: Map<number, Call>, message: QmpMessage): void {
  const call = message.id === undefined ? undefined : calls.get(message.id)
  if (call === undefined || message.id === undefined) return
  calls.delete(message.id)
  clearTimeout(call.timer)
  if (message.error === undefined) call.resolve(message.return)
  else {
    const detail = { class: message.error.class }
    call.reject(new DialtoneError('hypervisor-failed', `${call.command}: ${message.error.desc}`, { detail }))
  }
}

/** Events outside of the generated list reach no `case` of a listener. */
function asQmpEvent(message: QmpMessage): QmpEvent {
  const { seconds, microseconds } = message.timestamp ?? { seconds: 0, microseconds: 0 }
  const atMs = seconds * 1000 + microseconds / 1000
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- QEMU's own schema is the source of these types.
  return { event: message.event, data: message.data ?? {}, atMs } as QmpEvent
}
