/** The faults of a simulated world in words. */
import { type Fault, type FaultKind, faultSchema } from '../faults/fault.ts'
import type { Sentence } from './sentence.ts'

type Row = readonly [words: string, says: { readonly kind: FaultKind } & Readonly<Record<string, unknown>>]

const rows: readonly Row[] = [
  ['host {host} loses power[ for {forMs}]', { kind: 'power-off' }],
  ['host {host} is reset', { kind: 'host-resets' }],
  ['host {host} stands still[ for {forMs}]', { kind: 'host-stands-still' }],
  ['host {host} is cut off[ for {forMs}]', { kind: 'host-is-cut-off' }],
  ['host {host} is cut off, but reaches its storages[ for {forMs}]', { kind: 'host-is-cut-off', withStorage: false }],
  ['agent of {host} crashes', { kind: 'agent-crashes' }],
  ['agent of {host} stands still[ for {forMs}]', { kind: 'agent-stands-still' }],
  ['watchdog of {host} crashes', { kind: 'watchdog-crashes' }],
  ['watchdog of {host} stands still[ for {forMs}]', { kind: 'watchdog-stands-still' }],
  ['clock of {host} jumps by {byMs}', { kind: 'wall-clock-jumps' }],
  ['controller crashes', { kind: 'controller-crashes' }],
  ['controller stands still[ for {forMs}]', { kind: 'controller-stands-still' }],
  ['controller is gone[ for {forMs}]', { kind: 'controller-is-gone' }],
  ['state of the controller goes back by {byMs}', { kind: 'state-goes-back' }],
  ['nothing passes between {from} and {to}[ for {forMs}]', { kind: 'way-is-cut' }],
  ['nothing passes from {from} to {to}[ for {forMs}]', { kind: 'way-is-cut', isOneWay: true }],
  ['network is gone[ for {forMs}]', { kind: 'network-is-gone' }],
  ['network is gone, with the storages[ for {forMs}]', { kind: 'network-is-gone', withStorage: true }],
  ['network loses {lostShare}, doubles {doubledShare}, delays {slowShare}[ for {forMs}]', { kind: 'network-is-bad' }],
  ['storage {storage} hangs[ for {forMs}]', { kind: 'storage-hangs' }],
  ['storage {storage} hangs, seen from {host}[ for {forMs}]', { kind: 'storage-hangs' }],
  ['storage {storage} refuses[ for {forMs}]', { kind: 'storage-refuses' }],
  ['storage {storage} refuses, seen from {host}[ for {forMs}]', { kind: 'storage-refuses' }],
  ['storage {storage} is slow by {delayMs}[ for {forMs}]', { kind: 'storage-is-slow' }],
  ['storage {storage} is full[ for {forMs}]', { kind: 'storage-is-full' }],
  ['slot of {host} on storage {storage} is torn', { kind: 'slot-is-torn' }],
  ['fence device of {host} lies[ for {forMs}]', { kind: 'fence-lies' }],
  ['fence device of {host} hangs[ for {forMs}]', { kind: 'fence-hangs' }],
  ['fence device of {host} fails[ for {forMs}]', { kind: 'fence-fails' }],
  ['qemu of {vm} dies', { kind: 'qemu-dies' }],
  ['qemu of {vm} stands still[ for {forMs}]', { kind: 'qemu-stands-still' }],
  ['guest of {vm} panics', { kind: 'guest-panics' }],
  ['guest of {vm} hangs', { kind: 'guest-hangs' }],
  ['guest of {vm} ignores its power button[ for {forMs}]', { kind: 'guest-ignores-shutdown' }],
  ['starts fail on {host}[ for {forMs}]', { kind: 'starts-fail' }],
  ['qemu on {host} refuses to {order}[ for {forMs}]', { kind: 'orders-fail' }],
]

export const faultSentences: readonly Sentence<Fault>[] = rows.map(([words, says]) => ({
  words,
  read: ({ lostShare, doubledShare, slowShare, ...values }) =>
    faultSchema.parse({ ...says, lost: lostShare, doubled: doubledShare, slow: slowShare, ...values }),
}))
