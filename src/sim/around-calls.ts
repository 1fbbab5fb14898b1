/** A port as it was, but for what happens around each call that answers with a promise: it takes time, gets lost, or never comes back. */

/** `effect` does what the port would have done. */
export type Around = (name: string, effect: () => Promise<unknown>, given: readonly unknown[]) => Promise<unknown>

/** For ports all of whose functions answer with promises. What isn't a function stays as it is. */
export function aroundCalls<Port extends object>(port: Port, around: Around): Port {
  const wrapped = new Map<string | symbol, unknown>()
  return new Proxy(port, {
    get(target, name, receiver) {
      if (wrapped.has(name)) return wrapped.get(name)
      const member: unknown = Reflect.get(target, name, receiver)
      const made =
        typeof member === 'function'
          ? (...given: unknown[]) =>
              around(String(name), async (): Promise<unknown> => Reflect.apply(member, target, given), given)
          : member
      wrapped.set(name, made)
      return made
    },
  })
}
