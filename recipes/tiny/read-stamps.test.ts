import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { findSecondWriters, readStamps, type Stamp, type StampRecord } from './read-stamps.ts'

const h1 = { host: 'h1', epoch: 5, incarnation: 0 }
const h2 = { host: 'h2', epoch: 6, incarnation: 0 }

function stamp(position: number, counter: number, life: typeof h1): Stamp {
  return { kind: 'stamp', position, counter, wallMs: 1, uptimeMs: 1, ...life }
}

function kindsOf(records: readonly StampRecord[]): string[] {
  return findSecondWriters(records).map(({ kind }) => kind)
}

function sector(record: Stamp): Buffer {
  const bytes = Buffer.alloc(512)
  bytes.write(`DTSTAMP1${record.host}`, 'latin1')
  const fields = [record.epoch, record.incarnation, record.counter, record.wallMs, record.uptimeMs]
  for (const [index, field] of fields.entries()) bytes.writeBigUInt64LE(BigInt(field), 40 + index * 8)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 80)), 80)
  return bytes
}

async function readBack(content: Buffer): Promise<StampRecord[]> {
  const directory = await mkdtemp(join(tmpdir(), 'stamps-'))
  try {
    await writeFile(join(directory, 'disk.raw'), content)
    return await readStamps(join(directory, 'disk.raw'))
  } finally {
    await rm(directory, { recursive: true })
  }
}

test('records come back from a disk as they were written, blank sectors left out', async () => {
  const written = [stamp(0, 0, h1), stamp(1, 1, h1)]
  assert.deepEqual(await readBack(Buffer.concat([...written.map(sector), Buffer.alloc(4096)])), written)
})

test('a record with one changed byte is damaged', async () => {
  const bytes = sector(stamp(0, 0, h1))
  bytes.writeUInt8(9, 56)
  assert.deepEqual(await readBack(bytes), [{ kind: 'damaged', position: 0 }])
})

test('records beyond the first megabyte are found at their positions', async () => {
  const records = await readBack(Buffer.concat([Buffer.alloc(3 << 20), sector(stamp(0, 0, h1))]))
  assert.deepEqual(records, [stamp(6144, 0, h1)])
})

test('writers that follow one another are no violation', () => {
  const restarted = { ...h1, incarnation: 1 }
  const records = [stamp(0, 0, h1), stamp(1, 1, h1), stamp(2, 0, restarted), stamp(3, 0, h2), stamp(4, 1, h2)]
  assert.deepEqual(kindsOf(records), [])
})

test('a writer that goes on after its successor began is found', () => {
  assert.deepEqual(kindsOf([stamp(0, 0, h1), stamp(1, 0, h2), stamp(2, 1, h1)]), ['older-after-newer'])
})

test('a writer that comes back within the same epoch, but an older incarnation, is found', () => {
  const restarted = { ...h1, incarnation: 1 }
  assert.deepEqual(kindsOf([stamp(0, 0, h1), stamp(1, 0, restarted), stamp(2, 1, h1)]), ['older-after-newer'])
})

test('records that were written over leave a gap in the counters, at the beginning too', () => {
  assert.deepEqual(kindsOf([stamp(0, 0, h1), stamp(1, 0, h2), stamp(2, 2, h2)]), ['counter-gap'])
  assert.deepEqual(kindsOf([stamp(0, 3, h1)]), ['counter-gap'])
})

test('a counter that appears twice is found', () => {
  assert.deepEqual(kindsOf([stamp(0, 0, h1), stamp(1, 0, h1)]), ['counter-repeated'])
})

test('two hosts in one life are found', () => {
  assert.deepEqual(kindsOf([stamp(0, 0, h1), stamp(1, 1, { ...h1, host: 'h2' })]), ['two-hosts'])
})

test('a damaged record counts unless it is the last', () => {
  const damaged = { kind: 'damaged', position: 1 } as const
  assert.deepEqual(kindsOf([stamp(0, 0, h1), damaged]), [])
  assert.deepEqual(kindsOf([stamp(0, 0, h1), damaged, stamp(2, 1, h1)]), ['damaged'])
})

test('blank sectors before a record are found', () => {
  assert.deepEqual(findSecondWriters([stamp(0, 0, h1), stamp(4, 1, h1)]), [
    { kind: 'hole', position: 1, message: 'sector 1 to 3 are blank before a record' },
  ])
})
