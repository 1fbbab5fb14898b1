/** The layers that a waiting process has to itself. */
import { z } from 'zod'
import { layerIdSchema } from '../../model/ids.ts'
import { machineDiskSchema } from '../../model/machine-order.ts'

export const spareLayerSchema = z.object({
  disk: machineDiskSchema,
  layerId: layerIdSchema,
  /** The image's layer, which it lies on. */
  on: layerIdSchema.nullable(),
})
export type SpareLayer = z.infer<typeof spareLayerSchema>
