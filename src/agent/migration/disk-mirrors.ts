/**
 * The disks that go with a machine: each is copied to the process that waits for it, before its memory is. From `ready` on a write is done
 * when both have it, so what the guest was told to be on its disk is there, too, wherever it goes on.
 */
import type { CopiedDisk, DepartureTarget } from '../../model/agent-protocol/migration-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { DiskMirror, MirrorProgress } from '../hypervisor/disk-mirror.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import type { Keeping } from '../machines/keeping.ts'
import { diskOf } from '../recovery/machine-shape.ts'
import { currentLayerOf } from '../recovery/take-instant.ts'
import type { DiskMirrors } from './moving.ts'

const lookEveryMs = 250
/** Nothing of a disk reached the other host for so long: that is given up, since the guest's own writes wait for it, too. */
const stalledAfterMs = 10_000

const noMirrors = (): DiskMirrors => ({
  ready: Promise.resolve(),
  broken: new Promise(() => undefined),
  progress: () => null,
  finish: async () => undefined,
  cancel: async () => undefined,
})

/** Begins to copy them all. On failure none is left. */
export async function mirrorDisks(
  keeping: Keeping,
  machine: RunningMachine,
  { target, copied }: { readonly target: DepartureTarget; readonly copied: readonly CopiedDisk[] },
): Promise<DiskMirrors> {
  if (copied.length === 0) return noMirrors()
  const mirrors: DiskMirror[] = []
  try {
    for (const disk of copied) mirrors.push(await mirrorOne(keeping, machine, { target, disk }))
  } catch (error) {
    await cancelAll(keeping, mirrors)
    throw error
  }
  return follow(keeping, mirrors)
}

async function mirrorOne(
  { ports, vmId, record }: Keeping,
  machine: RunningMachine,
  { target, disk: { volumeId, isOnSameBase } }: { readonly target: DepartureTarget; readonly disk: CopiedDisk },
): Promise<DiskMirror> {
  const disk = diskOf(record.machine, volumeId)
  if (disk === undefined) throw new DialtoneError('not-found', `${record.machine.name} has no volume ${volumeId}`)
  const isOneLayer = disk.format === 'qcow2' && (await currentLayerOf(disk, ports)) === null
  const stream = await ports.openDiskStreamTo(target, { vmId, volumeId })
  const scope = isOnSameBase && isOneLayer ? 'top-layer' : 'whole'
  ports.logger.info('departure.mirrors', { vmId, volumeId, to: target.hostName, scope })
  return machine.mirrorDisk({ volumeId, target: { kind: 'stream', stream }, scope }).catch((error: unknown) => {
    stream.destroy()
    throw error
  })
}

function follow(keeping: Keeping, mirrors: readonly DiskMirror[]): DiskMirrors {
  const { clock } = keeping.ports
  const ended = new AbortController()
  const broken = Promise.withResolvers<never>()
  broken.promise.catch(() => undefined)
  let progress: MirrorProgress = { copiedBytes: 0, totalBytes: 0 }
  let isReady = false
  const measure = async () => {
    const seen = await Promise.all(mirrors.map((mirror) => mirror.progress()))
    const sumOf = (figure: keyof MirrorProgress) => seen.reduce((sum, one) => sum + one[figure], 0)
    progress = { copiedBytes: sumOf('copiedBytes'), totalBytes: sumOf('totalBytes') }
  }
  const look = async () => {
    let movedAtMs = clock.bootTimeMs()
    while (!ended.signal.aborted) {
      const before = progress.copiedBytes
      await measure()
      if (progress.copiedBytes !== before || isReady) movedAtMs = clock.bootTimeMs()
      if (clock.bootTimeMs() - movedAtMs > stalledAfterMs)
        throw new DialtoneError('deadline-exceeded', 'nothing more of its disks reached the other host in time')
      await clock.sleep(lookEveryMs, ended.signal)
    }
  }
  look().catch((error: unknown) => {
    if (!ended.signal.aborted) broken.reject(error)
  })
  const all = Promise.all(mirrors.map(({ ready }) => ready)).then(() => {
    isReady = true
    return measure()
  })
  const ready = Promise.race([all, broken.promise])
  ready.catch(() => undefined)
  return {
    ready,
    broken: broken.promise,
    progress: () => progress,
    finish: async () => {
      ended.abort()
      await Promise.all(mirrors.map((mirror) => mirror.finish()))
    },
    cancel: async () => {
      ended.abort()
      broken.reject(new DialtoneError('cancelled', 'its move was called off'))
      await cancelAll(keeping, mirrors)
    },
  }
}

/** What can't be ended is told: the machine runs on with its own disk in any case. */
async function cancelAll({ ports, vmId }: Keeping, mirrors: readonly DiskMirror[]): Promise<void> {
  await Promise.all(
    mirrors.map((mirror) =>
      mirror.cancel().catch((error: unknown) => ports.logger.warn('departure.mirror-not-ended', { vmId, error })),
    ),
  )
}
