/** Reads this host's slot on every shared storage, over and over, past every cache. Each storage has a loop of its own: one that hangs delays no other. */
import type { Clock } from '../../model/clock.ts'
import type { HostId, StorageId } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import { parseSlot } from '../../model/protection/pill.ts'
import type { Storage } from '../storage/storage.ts'
import type { LicenceKeeper } from './licence-keeper.ts'

export type SlotWatch = {
  readonly storageId: StorageId
  readonly storage: Storage
  readonly slot: number
}

export type SlotReader = {
  /** Age of the newest good read (with or without a pill), or null. */
  probeAgeMs(storageId: StorageId): number | null
}

export type SlotReaderOptions = {
  readonly clock: Clock
  readonly logger: Logger
  readonly licences: LicenceKeeper
  readonly hostId: HostId
  readonly signal: AbortSignal
}

export function readSlots(watches: readonly SlotWatch[], options: SlotReaderOptions): SlotReader {
  const lastGoodReadAtMs = new Map<StorageId, number>()
  for (const watch of watches) void readForever(watch, lastGoodReadAtMs, options)
  return {
    probeAgeMs(storageId) {
      const atMs = lastGoodReadAtMs.get(storageId)
      return atMs === undefined ? null : options.clock.bootTimeMs() - atMs
    },
  }
}

type Read = { isUnderWay: boolean; startedAtMs: number }

async function readForever(
  watch: SlotWatch,
  lastGoodReadAtMs: Map<StorageId, number>,
  options: SlotReaderOptions,
): Promise<void> {
  let wasUnreadable = false
  const unreadable = (error: unknown) => {
    if (!wasUnreadable) options.logger.warn('slot.unreadable', { storageId: watch.storageId, error })
    wasUnreadable = true
  }
  const read: Read = { isUnderWay: false, startedAtMs: 0 }
  void watchForHang(read, options, unreadable)
  while (!options.signal.aborted) {
    // The start of the read is what counts: a pill written while the read was under way may have been missed.
    const startedAtMs = options.clock.bootTimeMs()
    Object.assign(read, { isUnderWay: true, startedAtMs })
    try {
      const content = parseSlot(await watch.storage.readSlot(watch.slot))
      if (content.kind === 'pill-free') options.licences.pillFreeRead(watch.storageId, startedAtMs)
      else if (content.kind === 'unintelligible') throw new Error(`unintelligible: ${content.text}`)
      else if (content.pill.hostId === options.hostId)
        options.licences.pillRead(watch.storageId, options.clock.bootTimeMs())
      else throw new Error(`the slot holds a pill for ${content.pill.hostId}`)
      lastGoodReadAtMs.set(watch.storageId, startedAtMs)
      if (wasUnreadable) options.logger.info('slot.readable', { storageId: watch.storageId })
      wasUnreadable = false
    } catch (error) {
      unreadable(error)
    }
    read.isUnderWay = false
    await options.clock.sleep(options.licences.timings().slotReadMs, options.signal)
  }
}

/** A read that hangs fails nowhere: it is told when it can license nothing any more. One wait for many reads, which nearly all end in time. */
async function watchForHang(
  read: Read,
  { clock, licences, signal }: SlotReaderOptions,
  tell: (why: Error) => void,
): Promise<void> {
  while (!signal.aborted) {
    const { pillFreeMs } = licences.timings()
    const waitedMs = read.isUnderWay ? clock.bootTimeMs() - read.startedAtMs : 0
    if (waitedMs >= pillFreeMs) tell(new Error(`it has not answered for ${pillFreeMs} ms`))
    await clock.sleep(waitedMs >= pillFreeMs ? pillFreeMs : pillFreeMs - waitedMs, signal)
  }
}
