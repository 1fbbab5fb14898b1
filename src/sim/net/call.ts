/** One process asks another over the network and waits for its answer, with a deadline, as HTTP between agents and controllers does. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import { toJson } from '../../model/to-json.ts'
import type { ProcessLife } from '../time/process-life.ts'
import type { Place, SimulatedNetwork } from './simulated-network.ts'

/** Who can be asked. */
export type Callee<Service> = {
  readonly place: Place
  /** It has power: a kernel is there to refuse when no process listens. */
  isOn(): boolean
  /** Nothing runs on it at the moment: what comes in is sent again and again, and taken up when it goes on. */
  isStanding(): boolean
  /** Another one since it was booted anew: it knows nothing of the connections that there were. */
  boot(): number
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

/** A connection over which nothing comes back is found dead after this (keep-alive of TCP, as libuv sets it: 10 s, then 10 times 1 s). */
const foundDeadAfterMs = 20_000
/** Shorter calls end by their own deadline before anybody could tell them that their connection broke. */
const shortestWatchedMs = 1_000

/**
 * Throws what the service threw, `host-unreachable` when nobody listens there or the connection broke, and `deadline-exceeded` when no
 * answer came in time: then, and when it broke, it may have been carried out, or may still be.
 */
export function callOverNetwork<Service, Answer>(
  caller: Caller,
  callee: Callee<Service>,
  question: Question<Service, Answer>,
): Promise<Answer> {
  const { place, life, network } = caller
  const { what, timeoutMs, connectTimeoutMs } = question
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  let isSettled = false
  let callOffs: readonly (() => void)[] = []
  const settle = (how: () => void) => {
    if (isSettled) return
    isSettled = true
    for (const callOff of callOffs) callOff()
    how()
  }
  const unreachable = () =>
    reject(new DialtoneError('host-unreachable', `${callee.place} could not be reached (${what})`))
  const breaks = () => settle(unreachable)
  const after = (delayMs: number, work: () => void) => {
    callOffs = [...callOffs, life.after(delayMs, work)]
  }
  const answer = (how: () => void) =>
    network.send(callee.place, place, {
      arrive: () => life.enter(() => settle(how)),
      lost: () => life.enter(breaks),
    })

  after(timeoutMs, () =>
    settle(() =>
      reject(new DialtoneError('deadline-exceeded', `${callee.place} did not answer ${what} within ${timeoutMs} ms`)),
    ),
  )
  // What was sent over an open connection may arrive long after its sender has given up; a connection that never came about carries nothing.
  const isFresh = network.isFreshConnection()
  const boot = callee.boot()
  let hasArrived = false
  if (isFresh) after(connectTimeoutMs, () => hasArrived || breaks())
  if (timeoutMs > foundDeadAfterMs) watchConnection(after, isDead, breaks)
  function isDead(): boolean {
    return (
      !callee.isOn() ||
      callee.boot() !== boot ||
      network.isCut(place, callee.place) ||
      network.isCut(callee.place, place)
    )
  }

  const arrive = () => {
    if (!callee.isOn() || (isFresh && isSettled)) return
    hasArrived = !callee.isStanding()
    const listening = callee.listening()
    if (listening === undefined) return answer(unreachable)
    // Its kernel closes what a dead process had open.
    if (timeoutMs > shortestWatchedMs) {
      const forget = listening.life.onEnd(() => {
        if (callee.isOn()) answer(unreachable)
      })
      callOffs = [...callOffs, forget]
    }
    listening.life.enter(() => carryOut(listening.service))
  }
  const carryOut = (service: Service) =>
    void question.ask(service).then(
      (value) => answer(() => resolve(question.carry === undefined ? copyOf(value) : question.carry(value))),
      (error: unknown) => answer(() => reject(copyOfError(error))),
    )
  network.send(place, callee.place, { arrive, lost: () => life.enter(breaks) })
  return promise
}

/** Looks again and again; `after` forgets it when the call is over. */
function watchConnection(
  after: (delayMs: number, work: () => void) => void,
  isDead: () => boolean,
  breaks: () => void,
): void {
  after(foundDeadAfterMs, () => {
    if (isDead()) breaks()
    else watchConnection(after, isDead, breaks)
  })
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
