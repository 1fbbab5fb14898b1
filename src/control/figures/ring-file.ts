/**
 * A file of the past of one host or machine in steps of one length: a ring of records, each at the place that its time says. A record says
 * itself which step it is of and carries a checksum, so nothing has to be written in order, nothing is ever moved, and one that was torn
 * by a crash, or is of the round before, counts as missing. The file never grows beyond its ring.
 */
import { figureNames, figureSpans } from '../../model/figures.ts'
import { type FigurePoint, fromRow, toRow } from './figure-points.ts'

/** Of what is kept in files. */
export type RingSpan = 'week' | 'year'

export const recordBytes = 4 * (figureNames.length + 2)

/** The most bytes that both files of a host or machine take. */
export const ringBytesOfOne = (recordsOf('week') + recordsOf('year')) * recordBytes

function recordsOf(span: RingSpan): number {
  const { spanMs, stepMs } = figureSpans[span]
  return spanMs / stepMs
}

/** Where in the file it is written, and what. */
export function encodeRecord(span: RingSpan, { atMs, figures }: FigurePoint): { position: number; bytes: Uint8Array } {
  const step = Math.floor(atMs / figureSpans[span].stepMs)
  const bytes = new Uint8Array(recordBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, step)
  for (const [index, figure] of toRow(figures).entries()) view.setFloat32(4 * (index + 1), figure)
  view.setUint32(recordBytes - 4, checksumOf(bytes.subarray(0, recordBytes - 4)))
  return { position: (step % recordsOf(span)) * recordBytes, bytes }
}

/** The points of the span that ends now, oldest first. Whatever is in the file that is none of them is left out. */
export function decodeRing(span: RingSpan, bytes: Uint8Array, nowMs: number): readonly FigurePoint[] {
  const { stepMs } = figureSpans[span]
  const records = recordsOf(span)
  const newest = Math.floor(nowMs / stepMs)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const points: FigurePoint[] = []
  for (let step = newest - records + 1; step <= newest; step += 1) {
    const position = (step % records) * recordBytes
    if (position + recordBytes > bytes.length || view.getUint32(position) !== step) continue
    const body = bytes.subarray(position, position + recordBytes - 4)
    if (view.getUint32(position + recordBytes - 4) !== checksumOf(body)) continue
    const row = figureNames.map((_name, index) => view.getFloat32(position + 4 * (index + 1)))
    points.push({ atMs: step * stepMs, figures: fromRow(row) })
  }
  return points
}

/** FNV-1a: against what a crash leaves, not against anybody. */
function checksumOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash
}
