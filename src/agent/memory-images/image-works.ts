/** Images that are being fetched or baked, each in a work folder of its own, and the room that they take. */
import { mkdir, rm, statfs } from 'node:fs/promises'
import type { Clock } from '../../model/clock.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { ImageId } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import { planRoom } from './cache-room.ts'
import { type ImagePaths, imagePaths, usedBytesOf } from './image-folder.ts'
import type { ImageShelf } from './image-shelf.ts'

export type ImageWork = {
  readonly imageId: ImageId
  readonly kind: 'fetch' | 'bake'
  readonly folder: string
  readonly files: ImagePaths
  /** What it will occupy at least, as far as is known. */
  expectedBytes: number
  /** Why there was no room for what came of it; undefined while there is. */
  refusal: DialtoneError | undefined
}

export type WorkOptions = {
  readonly directory: string
  readonly budgetBytes: number
  readonly shelf: ImageShelf
  readonly isPinned: (imageId: ImageId) => boolean
  readonly clock: Clock
  readonly logger: Logger
}

export type ImageWorks = {
  get(imageId: ImageId): ImageWork | undefined
  /** Makes an empty work folder, and room for what is expected. From now on room is made as its files grow. Throws `cache-full`. */
  begin(work: Pick<ImageWork, 'imageId' | 'kind' | 'expectedBytes'>): Promise<ImageWork>
  /**
   * All of it is there: makes room for what it really occupies, by removing images, least recently used first. Throws `cache-full` with the
   * numbers.
   */
  fitIn(work: ImageWork): Promise<void>
  /** Removes what is left of it. */
  end(work: ImageWork): Promise<void>
}

/** How often it is looked how far files have grown whose size nobody could tell. */
const lookEveryMs = 50

export function createImageWorks(options: WorkOptions): ImageWorks {
  const { shelf, clock, logger } = options
  const works = new Map<ImageId, ImageWork>()
  let turn: Promise<unknown> = Promise.resolve()
  // One at a time: two that count the same free space would both take it.
  const makeRoom = () => {
    const made = turn.then(() => makeRoomNow(options, [...works.values()]))
    turn = made.catch(() => undefined)
    return made
  }
  const followGrowth = async (work: ImageWork) => {
    while (works.get(work.imageId) === work) {
      await clock.sleep(lookEveryMs)
      if (works.get(work.imageId) !== work) return
      // Nothing can stop who writes there; when it is done, or has failed for it, it is told that it doesn't fit.
      work.refusal = await makeRoom().then(() => undefined, asRefusal)
    }
  }
  const end = async (work: ImageWork) => {
    if (works.get(work.imageId) !== work) return
    works.delete(work.imageId)
    await rm(work.folder, { recursive: true, force: true })
  }
  return {
    get: (imageId) => works.get(imageId),
    end,
    async fitIn(work) {
      work.expectedBytes = 0
      await makeRoom()
    },
    async begin({ imageId, kind, expectedBytes }) {
      const folder = shelf.workFolder(imageId)
      const work: ImageWork = { imageId, kind, expectedBytes, folder, files: imagePaths(folder), refusal: undefined }
      works.set(imageId, work)
      try {
        await rm(folder, { recursive: true, force: true })
        await makeRoom()
        await mkdir(folder, { mode: 0o700 })
      } catch (error) {
        await end(work)
        throw error
      }
      followGrowth(work).catch((error: unknown) => logger.warn('memory-image.not-followed', { imageId, error }))
      return work
    },
  }
}

async function makeRoomNow(
  { directory, budgetBytes, shelf, isPinned, logger }: WorkOptions,
  works: readonly ImageWork[],
): Promise<void> {
  const images = await shelf.all()
  const plan = planRoom({
    budgetBytes,
    freeBytes: await freeBytesOf(directory),
    images: images.map(({ manifest: { id }, usedBytes }) => ({ imageId: id, usedBytes, isPinned: isPinned(id) })),
    works: await Promise.all(
      works.map(async ({ files, expectedBytes }) => ({ expectedBytes, usedBytes: await usedBytesOf(files) })),
    ),
  })
  if (plan.kind === 'full') {
    throw new DialtoneError('cache-full', `There is no room for a memory image in ${directory}: ${plan.detail}`)
  }
  for (const imageId of plan.remove) {
    logger.info('memory-image.made-room', { imageId })
    await shelf.remove(imageId)
  }
}

function asRefusal(error: unknown): DialtoneError {
  if (error instanceof DialtoneError) return error
  throw error
}

async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}
