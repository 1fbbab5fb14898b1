/** The past of hosts and machines on this controller's disk: a folder for each, with a ring file for each span. In memory for tests and simulated clouds. */
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { FigurePoint } from '../../control/figures/figure-points.ts'
import { decodeRing, encodeRecord, type RingSpan } from '../../control/figures/ring-file.ts'

export type FigureFiles = {
  write(subject: string, span: RingSpan, point: FigurePoint): Promise<void>
  /** Of the span that ends now, oldest first; none where nothing is known. */
  read(subject: string, span: RingSpan, nowMs: number): Promise<readonly FigurePoint[]>
  /** Of whom there is something. */
  list(): Promise<readonly string[]>
  remove(subject: string): Promise<void>
}

export function openFigureFiles(directory: string): FigureFiles {
  const fileOf = (subject: string, span: RingSpan) => join(directory, subject, `${span}.ring`)
  return {
    async write(subject, span, point) {
      const { position, bytes } = encodeRecord(span, point)
      await mkdir(join(directory, subject), { recursive: true, mode: 0o700 })
      const file = await open(fileOf(subject, span), 'r+').catch(() => open(fileOf(subject, span), 'w+', 0o600))
      try {
        await file.write(bytes, 0, bytes.length, position)
      } finally {
        await file.close()
      }
    },
    async read(subject, span, nowMs) {
      const bytes = await readFile(fileOf(subject, span)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return new Uint8Array()
        throw error
      })
      return decodeRing(span, bytes, nowMs)
    },
    list: () => readdir(directory).catch(() => []),
    remove: (subject) => rm(join(directory, subject), { recursive: true, force: true }),
  }
}

/** Nothing of it outlives the process. */
export function figureFilesInMemory(): FigureFiles {
  const files = new Map<string, Map<string, FigurePoint>>()
  return {
    async write(subject, span, point) {
      const file = files.get(subject) ?? new Map<string, FigurePoint>()
      files.set(subject, file.set(`${span} ${point.atMs}`, point))
    },
    async read(subject, span, nowMs) {
      const kept = [...(files.get(subject) ?? [])].filter(([key, { atMs }]) => key.startsWith(span) && atMs <= nowMs)
      return kept.map(([, point]) => point).sort((left, right) => left.atMs - right.atMs)
    },
    list: async () => [...files.keys()],
    async remove(subject) {
      files.delete(subject)
    },
  }
}
