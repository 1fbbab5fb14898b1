import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatShare, formatSize, parseSize } from './byte-size.ts'

test('sizes are read in the forms that people write', () => {
  for (const [text, mebibytes] of [
    ['512MiB', 512],
    ['512M', 512],
    ['512', 512],
    ['2GiB', 2048],
    ['2G', 2048],
    ['2g', 2048],
    ['1.5 GiB', 1536],
    ['1T', 1_048_576],
  ] as const) {
    assert.deepEqual(parseSize(text), { kind: 'size', mebibytes }, text)
  }
})

test('nonsense is refused with a sentence that says what is wrong', () => {
  for (const [text, why] of [
    ['much', /written like 512MiB/],
    ['', /written like/],
    ['-5', /written like/],
    ['1e3', /unit|written like/],
    ['2GB', /unit 'GB' is not known/],
    ['1.3M', /not a whole number/],
    ['0', /at least 1 MiB/],
  ] as const) {
    const parsed = parseSize(text)
    assert.ok(parsed.kind === 'nonsense', text)
    assert.match(parsed.why, why)
  }
})

test('a size is shown in the largest unit that keeps it exact', () => {
  assert.deepEqual([64, 1024, 1536, 1000, 2_097_152].map(formatSize), [
    '64 MiB',
    '1 GiB',
    '1.5 GiB',
    '1000 MiB',
    '2 TiB',
  ])
  for (const mebibytes of [1, 64, 1000, 1024, 1536, 2_097_152]) {
    assert.deepEqual(parseSize(formatSize(mebibytes)), { kind: 'size', mebibytes })
  }
})

test('a share is shown in the unit of the whole', () => {
  assert.equal(formatShare(128, 512), '128 of 512 MiB')
  assert.equal(formatShare(1229, 7782), '1.2 of 7.6 GiB')
})
