/** Resolves when `waited` does or the signal aborts, whichever is first. A signal that lives as long as a term keeps no listener of it. */
export async function waitOrAbort(waited: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const { promise: aborted, resolve } = Promise.withResolvers<void>()
  const stop = () => resolve()
  signal.addEventListener('abort', stop, { once: true })
  try {
    await Promise.race([waited, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
