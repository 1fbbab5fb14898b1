/** How many of the times, which are in order, lie before a moment. */
export function countBefore(times: readonly number[], atMs: number): number {
  let low = 0
  let high = times.length
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if ((times[middle] ?? atMs) < atMs) low = middle + 1
    else high = middle
  }
  return low
}
