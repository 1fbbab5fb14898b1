/**
 * For whoever passes bytes on by the hundred megabytes. Each buffer counts as memory outside of V8's heap, and V8 answers every 64 MiB of
 * that by marking the whole heap, although nearly all of it is young garbage. Collecting that in time, which takes about a millisecond,
 * spares the marking: half of the processor time of a relay, and the pauses that came with it.
 */
import type { Duplex } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const lookEveryMs = 25
const tooManyBytes = 8 * 1024 * 1024

type Collector = (options: { readonly type: 'minor' }) => void

let collect: Collector | undefined
let open = 0
let timer: NodeJS.Timeout | undefined
let keptBytes = 0

/** As long as this stream is open. */
export function collectYoungGarbageWhileOpen(stream: Duplex): void {
  if (stream.destroyed) return
  collect ??= exposeCollector()
  open += 1
  timer ??= setInterval(look, lookEveryMs).unref()
  stream.once('close', () => {
    open -= 1
    if (open > 0) return
    clearInterval(timer)
    timer = undefined
  })
}

function look(): void {
  const { arrayBuffers } = process.memoryUsage()
  keptBytes = Math.min(keptBytes, arrayBuffers)
  if (arrayBuffers - keptBytes < tooManyBytes) return
  collect?.({ type: 'minor' })
  keptBytes = process.memoryUsage().arrayBuffers
}

/** As with `node --expose-gc`, but for this function alone. */
function exposeCollector(): Collector {
  setFlagsFromString('--expose-gc')
  const collector: unknown = runInNewContext('gc')
  return isCollector(collector) ? collector : () => undefined
}

function isCollector(value: unknown): value is Collector {
  return typeof value === 'function'
}
