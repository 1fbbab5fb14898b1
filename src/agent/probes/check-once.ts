/**
 * Asks a machine's service once. Each question is a new connection, or a new program in the guest: one that a dead machine had open says
 * nothing of the machine that took its place.
 */
import { request } from 'node:http'
import { connect } from 'node:net'
import type { ProbeCheck } from '../../model/recovery/probe.ts'
import type { CheckAnswer, CheckQuestion, RunInGuest } from './service-check.ts'

type Verdict = { readonly isCorrect: true } | { readonly isCorrect: false; readonly reason: string }
/** Begins the question; `answer` may be called more than once, the first counts. Returns what ends it. */
type Ask = (answer: (verdict: Verdict) => void) => () => void
type HttpCheck = Extract<ProbeCheck, { kind: 'http' }>
/** Who is asked, and this host's own address that asks. */
type Whom = { readonly host: string; readonly localAddress: string | undefined }
type ExecCheck = Extract<ProbeCheck, { kind: 'exec' }>

const readBodyBytes = 64 * 1024
const shownOutputCharacters = 200

/**
 * Whether the service answers correctly within `timeoutMs`; when not, why, in a sentence. Never rejects. When the signal aborts, it ends at
 * once as not correct.
 */
export function checkOnce({
  check,
  address,
  askFrom,
  timeoutMs,
  runInGuest,
  signal,
}: CheckQuestion): Promise<CheckAnswer> {
  switch (check.kind) {
    case 'tcp':
      return ask(connecting({ host: address, localAddress: askFrom, port: check.port }), {
        timeoutMs,
        signal,
        whom: `${address}:${check.port}`,
      })
    case 'http':
      return ask(getting({ host: address, localAddress: askFrom }, check), {
        timeoutMs,
        signal,
        whom: `${address}:${check.port}`,
      })
    case 'exec':
      return ask(running(check, { timeoutMs, runInGuest }), { timeoutMs, signal, whom: check.command.join(' ') })
  }
}

function ask(
  begin: Ask,
  { timeoutMs, signal, whom }: Pick<CheckQuestion, 'timeoutMs' | 'signal'> & { readonly whom: string },
): Promise<CheckAnswer> {
  const beganAtMs = performance.now()
  return new Promise((resolve) => {
    let end: () => void = () => undefined
    let isAnswered = false
    const finish = (answer: CheckAnswer) => {
      if (isAnswered) return
      isAnswered = true
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      end()
      resolve(answer)
    }
    const onAbort = () => finish({ isCorrect: false, isSilent: true, reason: `the question to ${whom} was given up` })
    const onTimeout = () =>
      finish({ isCorrect: false, isSilent: true, reason: `no answer from ${whom} within ${timeoutMs} ms` })
    // An answer that waits to be read while this process was busy did come in time: it is read before the time-out counts.
    const timer = setTimeout(() => setImmediate(onTimeout), timeoutMs)
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted === true) return onAbort()
    end = begin((verdict) => {
      if (verdict.isCorrect) finish({ isCorrect: true, latencyMs: performance.now() - beganAtMs })
      else finish({ isCorrect: false, isSilent: false, reason: verdict.reason })
    })
    if (isAnswered) end()
  })
}

function connecting({ host, port, localAddress }: Whom & { readonly port: number }): Ask {
  return (answer) => {
    const socket = connect({ host, port, ...(localAddress === undefined ? {} : { localAddress }) })
    socket.once('connect', () => answer({ isCorrect: true }))
    socket.on('error', (error) => answer(wrong(describeError(error, `${host}:${port}`))))
    return () => socket.destroy()
  }
}

function getting({ host, localAddress }: Whom, { port, path, status, body }: HttpCheck): Ask {
  return (answer) => {
    const exchange = request({ host, port, path, localAddress, agent: false })
    exchange.on('error', (error) => answer(wrong(describeError(error, `${host}:${port}`))))
    exchange.once('response', (response) => {
      if (response.statusCode !== status) return answer(wrong(`status ${response.statusCode} instead of ${status}`))
      if (body === undefined) return answer({ isCorrect: true })
      const missing = wrong(`the answer does not contain ${JSON.stringify(body)}`)
      let read = Buffer.alloc(0)
      response.on('data', (chunk: Buffer) => {
        read = Buffer.concat([read, chunk.subarray(0, readBodyBytes - read.length)])
        if (read.includes(body)) answer({ isCorrect: true })
        else if (read.length >= readBodyBytes) answer(missing)
      })
      response.once('end', () => answer(missing))
      response.on('error', (error) => answer(wrong(describeError(error, `${host}:${port}`))))
    })
    exchange.end()
    return () => exchange.destroy()
  }
}

function running(
  { command }: ExecCheck,
  { timeoutMs, runInGuest }: { readonly timeoutMs: number; readonly runInGuest: RunInGuest | undefined },
): Ask {
  return (answer) => {
    const name = command.join(' ')
    if (runInGuest === undefined) answer(wrong(`${name} can't be run: nothing reaches into this guest`))
    else {
      runInGuest(command, timeoutMs).then(
        ({ exitCode, output }) =>
          answer(exitCode === 0 ? { isCorrect: true } : wrong(describeExit(name, exitCode, output))),
        (error: unknown) =>
          answer(wrong(`${name} was not run: ${error instanceof Error ? error.message : String(error)}`)),
      )
    }
    return () => undefined
  }
}

function wrong(reason: string): Verdict {
  return { isCorrect: false, reason }
}

function describeExit(name: string, exitCode: number, output: string): string {
  const words = output.trim().slice(0, shownOutputCharacters)
  return `${name} ended with ${exitCode}${words === '' ? '' : `: ${words}`}`
}

function describeError(error: Error & { readonly code?: unknown }, where: string): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return `connection refused at ${where}`
    case 'ECONNRESET':
    case 'EPIPE':
      return `${where} closed the connection without an answer`
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `no way to ${where}`
    default:
      return `${where}: ${error.message}`
  }
}
