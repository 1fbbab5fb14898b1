/** Lines of a socket or a pipe, as they come. */
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

/**
 * Calls `take` with each line. What breaks is the business of the stream's own listeners: readline tells an error of its input once more
 * by itself, and where nobody hears that, it ends the process.
 */
export function eachLine(input: Readable, take: (line: string) => void): void {
  createInterface({ input }).on('line', take).on('error', ignore)
}

function ignore(): void {}
