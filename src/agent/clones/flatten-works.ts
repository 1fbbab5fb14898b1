/** Volumes that are being made to stand alone on this host: each begun once, followed by whoever asks, called off when the volume goes. */
import type { FlattenReport } from '../../model/agent-protocol/clone-orders.ts'
import type { Clock } from '../../model/clock.ts'
import type { VolumeId } from '../../model/ids.ts'
import type { Storage } from '../storage/storage.ts'

export type FlattenWorks = {
  /** Begins it unless that is under way; answers when it is over or this time has passed. Throws what it failed with, once. */
  follow(volumeId: VolumeId, storage: Pick<Storage, 'flattenVolume'>, waitMs: number): Promise<FlattenReport>
  /** Resolves when nothing is written for it any more. */
  callOff(volumeId: VolumeId): Promise<void>
}

type Work = {
  readonly controller: AbortController
  readonly over: Promise<void>
  progress: () => Promise<number>
  isOver: boolean
}

export function createFlattenWorks(clock: Clock, makeCgroup: () => Promise<string>): FlattenWorks {
  const works = new Map<VolumeId, Work>()
  const begin = (volumeId: VolumeId, storage: Pick<Storage, 'flattenVolume'>): Work => {
    const controller = new AbortController()
    const { promise: over, resolve, reject } = Promise.withResolvers<void>()
    const work: Work = { controller, over, progress: async () => 0, isOver: false }
    over.catch(() => undefined)
    const flatten = async () => {
      const begins = (progress: () => Promise<number>) => {
        work.progress = progress
      }
      await storage.flattenVolume(volumeId, { cgroupDirectory: await makeCgroup(), signal: controller.signal, begins })
    }
    void flatten()
      .finally(() => {
        work.isOver = true
      })
      .then(resolve, reject)
    works.set(volumeId, work)
    return work
  }
  return {
    async follow(volumeId, storage, waitMs) {
      const work = works.get(volumeId) ?? begin(volumeId, storage)
      const timer = new AbortController()
      await Promise.race([work.over.catch(() => undefined), clock.sleep(waitMs, timer.signal)])
      timer.abort()
      if (!work.isOver) return { isDone: false, progress: await work.progress() }
      works.delete(volumeId)
      await work.over
      return { isDone: true, progress: 1 }
    },
    async callOff(volumeId) {
      const work = works.get(volumeId)
      if (work === undefined) return
      work.controller.abort()
      await work.over.catch(() => undefined)
      works.delete(volumeId)
    },
  }
}
