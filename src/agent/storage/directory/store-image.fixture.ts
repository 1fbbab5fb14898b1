/** Captures over and over: a layer, made current, and the image of the one under it. The test kills it in the middle. Argument: a JSON of what to do. */
import { layerIdSchema } from '../../../model/ids.ts'
import { memoryImageManifestSchema } from '../../../model/recovery/memory-image.ts'
import { createDirectoryStorage } from './directory-storage.ts'

const { path, cgroupDirectory, manifest, files, layer } = JSON.parse(process.argv[2] ?? '{}')
const image = memoryImageManifestSchema.parse(manifest)
const layerId = layerIdSchema.parse(layer)
const storage = createDirectoryStorage({ path: String(path), shared: true, hostName: 'a' })
const [root] = image.disks
if (root === undefined) throw new Error('the image has no disk')
process.stdout.write('begins\n')
for (;;) {
  await storage.addLayer(root.volumeId, { layerId, on: null, userId: 0, cgroupDirectory: String(cgroupDirectory) })
  await storage.useLayer(root.volumeId, layerId)
  await storage.storeImage(image, { memory: String(files.memory), state: String(files.state) })
  await storage.removeImage(root.volumeId, image.id)
  await storage.useLayer(root.volumeId, null)
  await storage.removeLayer(root.volumeId, layerId)
}
