/** Reads what tinyd's stamp writer left on a disk, and finds out whether there was ever a second writer. */
import { open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'

export type Stamp = {
  readonly kind: 'stamp'
  /** Number of the 512-byte sector. */
  readonly position: number
  readonly host: string
  readonly epoch: number
  readonly incarnation: number
  /** From 0 in every life of a writer. */
  readonly counter: number
  readonly wallMs: number
  readonly uptimeMs: number
}

/** A sector that is not blank and not an intact record. */
export type DamagedStamp = { readonly kind: 'damaged'; readonly position: number }
export type StampRecord = Stamp | DamagedStamp

export type Violation = {
  readonly kind: 'older-after-newer' | 'two-hosts' | 'counter-gap' | 'counter-repeated' | 'damaged' | 'hole'
  readonly position: number
  /** One sentence with the names and numbers. */
  readonly message: string
}

const sectorBytes = 512
const chunkBytes = 1 << 20
const magic = 'DTSTAMP1'
const checkedBytes = 80
const blank = Buffer.alloc(sectorBytes)

/** All records of a raw disk file or block device in the order of their positions; blank sectors are left out. */
export async function readStamps(path: string): Promise<StampRecord[]> {
  await using file = await open(path, 'r')
  const records: StampRecord[] = []
  const chunk = Buffer.alloc(chunkBytes)
  for (let offset = 0; ; offset += chunkBytes) {
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, offset)
    records.push(...decodeStamps(chunk.subarray(0, bytesRead), offset / sectorBytes))
    if (bytesRead < chunkBytes) return records
  }
}

/** The records of neighbouring sectors, of which the first has this position; blank ones are left out. */
export function decodeStamps(sectors: Buffer, firstPosition: number): StampRecord[] {
  const records: StampRecord[] = []
  for (let at = 0; at + sectorBytes <= sectors.length; at += sectorBytes) {
    const sector = sectors.subarray(at, at + sectorBytes)
    if (!sector.equals(blank)) records.push(decodeStamp(sector, firstPosition + at / sectorBytes))
  }
  return records
}

/** The layout is documented in tinyd/stamp-record.c. */
export function decodeStamp(sector: Buffer, position: number): StampRecord {
  const isIntact =
    sector.toString('latin1', 0, 8) === magic && crc32(sector.subarray(0, checkedBytes)) === sector.readUInt32LE(80)
  if (!isIntact) return { kind: 'damaged', position }
  const number = (offset: number) => Number(sector.readBigUInt64LE(offset))
  return {
    kind: 'stamp',
    position,
    host: sector.toString('latin1', 8, 40).replace(/\0.*$/s, ''),
    epoch: number(40),
    incarnation: number(48),
    counter: number(56),
    wallMs: number(64),
    uptimeMs: number(72),
  }
}

/**
 * What a disk with one writer at a time can never show: a writer that goes on after its successor began, counters that miss
 * or repeat (their sectors were written over), two hosts in one life, damage or blank sectors before an intact record. A
 * damaged last record is no violation: the writer was killed in the middle of it. Expects the order of readStamps.
 */
export function findSecondWriters(records: readonly StampRecord[]): Violation[] {
  const violations: Violation[] = []
  const lastOfLife = new Map<string, Stamp>()
  let newest: Stamp | undefined
  let lastPosition = -1
  for (const [index, record] of records.entries()) {
    if (record.kind === 'damaged') {
      const hasSuccessor = records.slice(index + 1).some(({ kind }) => kind === 'stamp')
      if (hasSuccessor) violations.push(violation('damaged', record.position, 'is damaged before an intact record'))
      lastPosition = record.position
      continue
    }
    if (record.position !== lastPosition + 1) {
      violations.push(violation('hole', lastPosition + 1, `to ${record.position - 1} are blank before a record`))
    }
    lastPosition = record.position
    const life = `${record.epoch}.${record.incarnation}`
    if (newest !== undefined && compareLives(record, newest) < 0) {
      const text = `shows that ${describe(record)} wrote after ${describe(newest)} had begun`
      violations.push(violation('older-after-newer', record.position, text))
    } else {
      newest = record
    }
    violations.push(...judgeCounter(record, lastOfLife.get(life)))
    lastOfLife.set(life, record)
  }
  return violations
}

function judgeCounter(record: Stamp, previous: Stamp | undefined): Violation[] {
  const found: Violation[] = []
  const expected = previous === undefined ? 0 : previous.counter + 1
  if (previous !== undefined && previous.host !== record.host) {
    const text = `was written by ${record.host} in the life of ${describe(previous)}`
    found.push(violation('two-hosts', record.position, text))
  }
  if (record.counter > expected) {
    const text = `has counter ${record.counter} of ${describe(record)} where ${expected} was due`
    found.push(violation('counter-gap', record.position, text))
  }
  if (record.counter < expected) {
    const text = `has counter ${record.counter} of ${describe(record)} once more: ${expected} was due`
    found.push(violation('counter-repeated', record.position, text))
  }
  return found
}

function compareLives(a: Stamp, b: Stamp): number {
  return a.epoch - b.epoch || a.incarnation - b.incarnation
}

function describe(record: Stamp): string {
  return `${record.host} (epoch ${record.epoch}, incarnation ${record.incarnation})`
}

function violation(kind: Violation['kind'], position: number, text: string): Violation {
  return { kind, position, message: `sector ${position} ${text}` }
}
