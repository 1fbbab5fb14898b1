/**
 * Bounds every call to one storage. File calls can't be cancelled, and each one that hangs (a dead server under a mount) holds a thread
 * of the process: so while a call is overdue, no further one is let in, and one dead storage doesn't stop the whole agent. This also
 * keeps the order: a write that hung and lands late never overtakes a newer one of this host.
 */
import { DialtoneError } from '../../../model/dialtone-error.ts'

export type CallGate = <T>(callName: string, timeoutMs: number, call: () => Promise<T>) => Promise<T>

/** Failures of the file system come out as `storage-failed`. After a time-out the call may still take effect. */
export function createCallGate(path: string): CallGate {
  const overdueCalls = new Set<string>()
  return async (callName, timeoutMs, call) => {
    if (overdueCalls.size > 0) {
      const names = [...overdueCalls].join(', ')
      throw new DialtoneError('storage-failed', `The storage at ${path} does not answer: ${names} still hangs`)
    }
    const answer = call()
    const timer = Promise.withResolvers<never>()
    const timeout = setTimeout(() => {
      overdueCalls.add(callName)
      const open = () => overdueCalls.delete(callName)
      answer.then(open, open)
      const sentence = `The storage at ${path} did not answer within ${timeoutMs} ms (${callName})`
      timer.reject(new DialtoneError('storage-failed', sentence))
    }, timeoutMs)
    try {
      return await Promise.race([answer, timer.promise])
    } catch (error) {
      if (!(error instanceof Error) || !('syscall' in error)) throw error
      throw new DialtoneError('storage-failed', `${callName} at ${path}: ${error.message}`, { cause: error })
    } finally {
      clearTimeout(timeout)
    }
  }
}
