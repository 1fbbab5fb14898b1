/** One process asks another over the network and waits for its answer, with a deadline, as HTTP between agents and controllers does. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import { toJson } from '../../model/to-json.ts'
import type { ProcessLife } from '../time/process-life.ts'
import type { Place, SimulatedNetwork } from './simulated-network.ts'

/** Who can be asked. */
export type Callee<Service> = {
  readonly place: Place
  /** A kernel is there to refuse when no process listens. */
  isOn(): boolean
  /** The process that listens there now. */
  listening(): { readonly life: ProcessLife; readonly service: Service } | undefined
}

export type Caller = { readonly place: Place; readonly life: ProcessLife; readonly network: SimulatedNetwork }

export type Question<Service, Answer> = {
  readonly what: string
  readonly timeoutMs: number
  /** A new connection that isn't answered is given up after this. */
  readonly connectTimeoutMs: number
  ask(service: Service): Promise<Answer>
  /** The answer as it comes out of the other end of the wire; a copy that shares nothing unless told. */
  carry?(answer: Answer): Answer
}

/**
 * Throws what the service threw, `host-unreachable` when nobody listens there, and `deadline-exceeded` when no answer came in time: then it
 * may have been carried out, or may still be.
 */
export function callOverNetwork<Service, Answer>(
  { place, life, network }: Caller,
  callee: Callee<Service>,
  { what, timeoutMs, connectTimeoutMs, ask, carry }: Question<Service, Answer>,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const settled = new AbortController()
  const answer = (settle: () => void) =>
    network.send(callee.place, place, () =>
      life.enter(() => {
        if (settled.signal.aborted) return
        settled.abort()
        settle()
      }),
    )
  const unreachable = () => new DialtoneError('host-unreachable', `${callee.place} could not be reached (${what})`)
  void life.clock.sleep(timeoutMs, settled.signal).then(() => {
    if (settled.signal.aborted) return
    settled.abort()
    reject(new DialtoneError('deadline-exceeded', `${callee.place} did not answer ${what} within ${timeoutMs} ms`))
  })
  // What was sent over an open connection may arrive long after its sender has given up; a connection that never came about carries nothing.
  const isFresh = network.isFreshConnection()
  let hasArrived = false
  if (isFresh)
    void life.clock.sleep(connectTimeoutMs, settled.signal).then(() => {
      if (settled.signal.aborted || hasArrived) return
      settled.abort()
      reject(unreachable())
    })
  network.send(place, callee.place, () => {
    if (!callee.isOn() || (isFresh && settled.signal.aborted)) return
    hasArrived = true
    const listening = callee.listening()
    if (listening === undefined) {
      answer(() => reject(unreachable()))
      return
    }
    const { service } = listening
    listening.life.enter(() => {
      ask(service).then(
        (value) => answer(() => resolve(carry === undefined ? copyOf(value) : carry(value))),
        (error: unknown) => answer(() => reject(copyOfError(error))),
      )
    })
  })
  return promise
}

/** What JSON makes of it: nothing is shared by two processes. */
export function copyOf<T>(message: T): T
export function copyOf(message: unknown): unknown {
  return copyValue(message)
}

function copyValue(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(copyValue)
  const copy: Record<string, unknown> = {}
  for (const [key, part] of Object.entries(value)) if (part !== undefined) copy[key] = copyValue(part)
  return copy
}

function copyOfError(error: unknown): DialtoneError {
  if (!(error instanceof DialtoneError)) return new DialtoneError('internal', String(error), { cause: error })
  const { code, message, detail } = error
  return new DialtoneError(code, message, detail === undefined ? {} : { detail: toJson(detail) })
}
