/** Ends the command with 130 because a person asked for it. The notice says what goes on without them; an empty one says nothing. */
export class Interrupted extends Error {
  readonly notice: string

  constructor(notice: string) {
    super('Interrupted.')
    this.name = 'Interrupted'
    this.notice = notice
  }
}

/** Does the work with a signal that the first Ctrl-C (or SIGTERM) aborts; then throws Interrupted, whatever the work made of it. */
export async function withInterrupt<T>(notice: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const interrupt = () => controller.abort(new Interrupted(notice))
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  try {
    const result = await work(controller.signal)
    controller.signal.throwIfAborted()
    return result
  } catch (error) {
    controller.signal.throwIfAborted()
    throw error
  } finally {
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}
