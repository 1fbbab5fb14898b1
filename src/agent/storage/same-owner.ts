import type { Ownership } from './storage.ts'

/**
 * True for who may repeat a claim. An equal life of another boot is another one, whose epoch a restored state has given twice; a claim that
 * doesn't tell its boot is from before claims did.
 */
export function isSameOwner(one: Ownership, other: Ownership): boolean {
  if (one.hostName !== other.hostName || one.life.vmId !== other.life.vmId) return false
  return one.bootId === undefined || other.bootId === undefined || one.bootId === other.bootId
}
