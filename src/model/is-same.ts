/** True when both are the same as JSON, whatever the order of their keys; without writing either of them down. For plain values. */
export function isSame(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (Array.isArray(left) || Array.isArray(right)) return isSameList(left, right)
  const entries = Object.entries(left).filter(isWritten)
  const others = new Map(Object.entries(right).filter(isWritten))
  return entries.length === others.size && entries.every(([key, value]) => isSame(value, others.get(key)))
}

function isSameList(left: unknown, right: unknown): boolean {
  if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false
  return left.every((value, index) => isSame(value, right[index]))
}

function isWritten([, value]: readonly [string, unknown]): boolean {
  return value !== undefined
}
