/** Captures a running machine as something that clones begin with: its memory, and its root disk as a base that volumes are made from. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { MemoryImageManifest } from '../../model/recovery/memory-image.ts'
import { type Keeping, lifeOf } from '../machines/keeping.ts'
import { bakeImage } from './capture-image.ts'
import { freezeInTurn } from './freeze-in-turn.ts'
import { rootOf } from './machine-shape.ts'
import { requireResident } from './require-resident.ts'

/** How long a capture for another purpose is waited for. */
const busyForMs = 60_000
const lookAgainMs = 100

/** The machine runs on; its own image, if it has one, stays what recoveries use. Throws `image-unfit` when its guest can't be told who it is. */
export async function captureForClones(keeping: Keeping): Promise<MemoryImageManifest> {
  const { running, record, ports, image } = keeping
  if (running === undefined) throw new DialtoneError('wrong-state', `${record.machine.name} does not run here`)
  await requireResident(running)
  const givesUpAtMs = ports.clock.bootTimeMs() + busyForMs
  while (image.isCapturing && ports.clock.bootTimeMs() < givesUpAtMs) await ports.clock.sleep(lookAgainMs)
  if (image.isCapturing)
    throw new DialtoneError('in-use', `${record.machine.name} is being captured or moved: try again in a moment`)
  // Meanwhile nobody tidies its layers, moves it or takes a snapshot of it.
  image.isCapturing = true
  return capture(keeping).finally(() => {
    image.isCapturing = false
  })
}

async function capture(keeping: Keeping): Promise<MemoryImageManifest> {
  const { record, ports } = keeping
  const { machine } = record
  const task = { machine, life: lifeOf(keeping), kind: 'template' } as const
  const frozen = await freezeInTurn(keeping, task)
  const manifest = await bakeImage(task, frozen, ports)
  const { storageId, volumeId } = rootOf(machine)
  const storage = ports.storage(storageId)
  const layerId = manifest.disks[0]?.layerId ?? null
  await storage.publishBase(volumeId, layerId, {
    version: manifest.id,
    cgroupDirectory: await ports.cgroups.makeForTools(),
  })
  const older = (await storage.listImages(volumeId)).filter(({ kind, id }) => kind === 'template' && id !== manifest.id)
  for (const { id } of older) {
    await ports.images.remove(id, { isForced: true })
    await storage.removeImage(volumeId, id)
  }
  return manifest
}
