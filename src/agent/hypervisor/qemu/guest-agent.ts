/** Runs programs in the guest through QEMU's guest agent. What it answers comes from the guest: it is bounded and checked for form. */
import { createConnection, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { AskFileSystems } from '../hypervisor.ts'

const askAgainMs = 20
const maximumAnswerBytes = 1024 * 1024
const maximumOutputCharacters = 64 * 1024
/** Ends whatever the agent has of an earlier request; its answer begins with the same byte. */
const delimiter = 0xff

const answerSchema = z.object({ return: z.unknown().optional(), error: z.object({ desc: z.string() }).optional() })
const startedSchema = z.object({ pid: z.number().int() })
const statusSchema = z.object({
  exited: z.boolean(),
  exitcode: z.number().int().optional(),
  signal: z.number().int().optional(),
  'out-data': z.string().optional(),
  'err-data': z.string().optional(),
})

type GuestLine = { readonly socket: Socket; readonly take: () => Promise<unknown> }

/**
 * Runs the program to its end; output is what it said on both streams. Throws `guest-silent` when no answer has come in `timeoutMs`, and
 * `hypervisor-failed` when the guest refuses or its program is ended by a signal.
 */
export async function runInGuest(
  path: string,
  command: readonly string[],
  timeoutMs: number,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  return converse(path, timeoutMs, async (line) => {
    const [program, ...arg] = command
    const { pid } = startedSchema.parse(await ask(line, 'guest-exec', { path: program, arg, 'capture-output': true }))
    for (;;) {
      const status = statusSchema.parse(await ask(line, 'guest-exec-status', { pid }))
      if (status.exited) return describe(status, program ?? '')
      await delay(askAgainMs)
    }
  })
}

/**
 * Work in which the guest's file systems are frozen and thawed; thawing what isn't frozen is fine. Each question throws `guest-silent` when no
 * answer has come in its time: an agent that froze them goes on working, but refuses everything but this. All of it goes over one connection
 * while that holds, because an agent that has lost its listener sleeps for 100 ms before it looks for the next (qemu-ga, channel_event_cb).
 */
export async function withFileSystems<Result>(
  path: string,
  work: (ask: AskFileSystems) => Promise<Result>,
): Promise<Result> {
  using conversation = openConversation(path)
  return await work((what, timeoutMs) =>
    conversation.talk(timeoutMs, async (line) =>
      z
        .number()
        .int()
        .parse(await ask(line, `guest-fsfreeze-${what}`, {})),
    ),
  )
}

const processorsSchema = z.array(z.object({ 'logical-id': z.number().int(), online: z.boolean() }))
const processorsPollMs = 50

/** Has the guest use so many processors, as soon as its kernel knows of them. Throws `guest-silent` when no agent answers, or in time. */
export async function onlineProcessors(path: string, count: number, timeoutMs: number): Promise<void> {
  return converse(path, timeoutMs, async (line) => {
    for (;;) {
      const known = processorsSchema.parse(await ask(line, 'guest-get-vcpus', {}))
      const vcpus = known
        .filter(({ online }) => !online)
        .map((one) => ({ 'logical-id': one['logical-id'], online: true }))
      if (vcpus.length > 0) await ask(line, 'guest-set-vcpus', { vcpus })
      // What was plugged in this moment may not be known yet.
      else if (known.length >= count) return
      await delay(processorsPollMs)
    }
  })
}

/** One that ends after `timeoutMs`. */
async function converse<T>(path: string, timeoutMs: number, talk: (line: GuestLine) => Promise<T>): Promise<T> {
  using conversation = openConversation(path)
  return await conversation.talk(timeoutMs, talk)
}

/** Each talk ends after its `timeoutMs`; what makes no sense is as good as silence. After a failure the next one is over a connection of its own. */
function openConversation(path: string) {
  let open: GuestLine | undefined
  const end = () => {
    open?.socket.destroy()
    open = undefined
  }
  return {
    async talk<T>(timeoutMs: number, talk: (line: GuestLine) => Promise<T>): Promise<T> {
      const isNew = open === undefined
      const line = open ?? readAnswers(createConnection(path))
      open = line
      const timer = setTimeout(() => line.socket.destroy(), timeoutMs)
      try {
        if (isNew) await synchronize(line)
        return await talk(line)
      } catch (error) {
        // What it answers late is no answer to the next question.
        end()
        if (error instanceof DialtoneError) throw error
        throw new DialtoneError('guest-silent', `the guest's agent answers nonsense`, { cause: error })
      } finally {
        clearTimeout(timer)
      }
    },
    [Symbol.dispose]: end,
  }
}

function describe(status: z.infer<typeof statusSchema>, program: string): { exitCode: number; output: string } {
  if (status.exitcode === undefined)
    throw new DialtoneError('hypervisor-failed', `${program} was ended in the guest by signal ${status.signal ?? '?'}`)
  const texts = [status['out-data'], status['err-data']].map((data) =>
    Buffer.from(data ?? '', 'base64').toString('utf8'),
  )
  return { exitCode: status.exitcode, output: texts.join('').slice(0, maximumOutputCharacters) }
}

async function synchronize(line: GuestLine): Promise<void> {
  const id = Math.floor(performance.now() * 1000) % 2 ** 31
  line.socket.write(Buffer.concat([Buffer.of(delimiter), encode('guest-sync-delimited', { id })]))
  // Answers to somebody who was here before are passed over, and a complaint about the delimiter.
  for (;;) {
    try {
      if ((await line.take()) === id) return
    } catch (error) {
      if (!(error instanceof DialtoneError) || error.code === 'guest-silent') throw error
    }
  }
}

async function ask(line: GuestLine, execute: string, args: Readonly<Record<string, unknown>>): Promise<unknown> {
  line.socket.write(encode(execute, args))
  return line.take()
}

function encode(execute: string, args: Readonly<Record<string, unknown>>): Buffer {
  return Buffer.from(`${JSON.stringify({ execute, arguments: args })}\n`)
}

/** `take` gives what the next line returns; it throws when the connection ends, which the deadline does too. */
function readAnswers(socket: Socket): GuestLine {
  let unread = ''
  let isOver = false
  let wake = (): void => undefined
  // Byte by byte the same characters, so that the delimiter is one too.
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    unread += text
    if (unread.length > maximumAnswerBytes) socket.destroy()
    wake()
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    isOver = true
    wake()
  })
  const take = async (): Promise<unknown> => {
    for (;;) {
      const end = unread.indexOf('\n')
      if (end >= 0) {
        const text = unread.slice(0, end)
        unread = unread.slice(end + 1)
        return interpret(text.slice(text.lastIndexOf(String.fromCharCode(delimiter)) + 1))
      }
      if (isOver) throw new DialtoneError('guest-silent', "the guest's agent did not answer in time")
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  return { socket, take }
}

function interpret(line: string): unknown {
  const answer = answerSchema.parse(JSON.parse(Buffer.from(line, 'latin1').toString('utf8')))
  if (answer.error === undefined) return answer.return
  throw new DialtoneError('hypervisor-failed', `the guest's agent refused: ${answer.error.desc}`)
}
