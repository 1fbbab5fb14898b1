/** A port of the host in the hands of a process that can be stopped and killed: what the port does it does at once, what it answers waits. */
import type { Duplex } from 'node:stream'
import type { ProcessLife } from '../time/process-life.ts'

/**
 * Promises are brought into the process, and so are those of what they bring: a machine's handle, a spare's. What the process is called
 * back with waits as well, and its answer goes to who called. Streams that it holds are closed by its death.
 */
export function gateResults<Port extends object>(port: Port, life: ProcessLife): Port {
  const wrapped = new Map<string | symbol, unknown>()
  return new Proxy(port, {
    get(target, name, receiver) {
      if (wrapped.has(name)) return wrapped.get(name)
      const member: unknown = Reflect.get(target, name, receiver)
      const made =
        typeof member === 'function'
          ? (...given: unknown[]): unknown => bringIn(member.apply(target, bringBack(given, life)), life)
          : bringIn(member, life)
      wrapped.set(name, made)
      return made
    },
  })
}

function bringIn(value: unknown, life: ProcessLife): unknown {
  if (isStream(value)) closeAtDeath(value, life)
  if (!(value instanceof Promise)) return value
  return life.gate(value).then((result: unknown) => {
    if (isStream(result)) closeAtDeath(result, life)
    return isPort(result) ? gateResults(result, life) : result
  })
}

function bringBack(given: readonly unknown[], life: ProcessLife): readonly unknown[] {
  return given.map((one) =>
    typeof one === 'function'
      ? (...told: unknown[]) => {
          const { promise, resolve } = Promise.withResolvers<unknown>()
          life.enter(() => resolve(Reflect.apply(one, undefined, askedThrough(told, life))))
          return promise
        }
      : one,
  )
}

/** What it is given to ask with is a part of the port as well. */
function askedThrough(told: readonly unknown[], life: ProcessLife): readonly unknown[] {
  return told.map((one) =>
    typeof one === 'function' ? (...given: unknown[]) => bringIn(Reflect.apply(one, undefined, given), life) : one,
  )
}

function isPort(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  if (value instanceof Map || Array.isArray(value) || isStream(value)) return false
  return Object.values(value).some((part) => typeof part === 'function' || part instanceof Promise)
}

/** A stream is a thing of its own. */
function isStream(value: unknown): value is Duplex {
  return typeof value === 'object' && value !== null && 'pipe' in value && 'destroy' in value
}

function closeAtDeath(stream: Duplex, life: ProcessLife): void {
  const forget = life.onEnd(() => stream.destroy())
  stream.once('close', forget)
}
