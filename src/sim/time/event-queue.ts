/** What is going to happen, earliest first; what is due at the same moment happens in the order in which it was planned. A binary heap. */

export type PlannedEvent = {
  readonly atMs: number
  readonly order: number
  run(): void
  /** It stays in the queue until its time has come, and does nothing then. */
  isCancelled: boolean
}

export type EventQueue = {
  add(atMs: number, run: () => void): PlannedEvent
  /** Takes out the earliest that is still to happen, if that is due at `untilMs` or before. */
  takeUntil(untilMs: number): PlannedEvent | undefined
  /** When the next one happens; Infinity when there is none. */
  nextAtMs(): number
  size(): number
}

export function createEventQueue(): EventQueue {
  const heap: PlannedEvent[] = []
  let planned = 0

  const dropCancelled = () => {
    for (let [first] = heap; first?.isCancelled === true; [first] = heap) removeFirst(heap)
    return heap[0]
  }

  return {
    add(atMs, run) {
      planned += 1
      const event = { atMs, order: planned, run, isCancelled: false }
      heap.push(event)
      siftUp(heap, heap.length - 1)
      return event
    },
    takeUntil(untilMs) {
      const first = dropCancelled()
      if (first === undefined || first.atMs > untilMs) return undefined
      removeFirst(heap)
      return first
    },
    nextAtMs: () => dropCancelled()?.atMs ?? Infinity,
    size: () => heap.length,
  }
}

function isBefore(left: PlannedEvent, right: PlannedEvent): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}

function removeFirst(heap: PlannedEvent[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  heap[0] = last
  siftDown(heap, last)
}

function siftUp(heap: PlannedEvent[], from: number): void {
  const event = heap[from]
  if (event === undefined) return
  let index = from
  while (index > 0) {
    const above = (index - 1) >> 1
    const parent = heap[above]
    if (parent === undefined || !isBefore(event, parent)) break
    heap[index] = parent
    index = above
  }
  heap[index] = event
}

function siftDown(heap: PlannedEvent[], event: PlannedEvent): void {
  let index = 0
  for (;;) {
    const left = 2 * index + 1
    const [leftChild, rightChild] = [heap[left], heap[left + 1]]
    if (leftChild === undefined) break
    const isRight = rightChild !== undefined && isBefore(rightChild, leftChild)
    const child = isRight ? rightChild : leftChild
    if (!isBefore(child, event)) break
    heap[index] = child
    index = isRight ? left + 1 : left
  }
  heap[index] = event
}
