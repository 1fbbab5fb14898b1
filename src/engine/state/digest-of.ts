/** A number below 2^53 that tells texts apart: not for secrets, only to see that something has changed. FNV-1a, twice. */
export function digestOf(text: string): number {
  let [low, high] = [0x811c9dc5, 0x9dc5811c]
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ code ^ (at & 0xff), 0x01000193)
  }
  return (high >>> 11) * 2 ** 32 + (low >>> 0)
}
