/** Where a controller keeps what comes from outside. */
import { join } from 'node:path'

export type ImagePlaces = {
  /** Templates, one folder a version. */
  readonly templates: string
  /** Discs, one folder each. */
  readonly isos: string
  /** What was uploaded and is not used yet, and what is being taken in. */
  readonly uploads: string
}

export function imagePlaces(config: {
  readonly dataDirectory: string
  readonly templatesDirectory: string
}): ImagePlaces {
  return {
    templates: config.templatesDirectory,
    isos: join(config.dataDirectory, 'isos'),
    uploads: join(config.dataDirectory, 'uploads'),
  }
}
