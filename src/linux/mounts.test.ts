import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMounts } from './mounts.ts'

test('mounts are read with the spaces in their points, with and without propagation fields', () => {
  const table =
    '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n31 23 0:28 / /mnt/my\\040disk rw,relatime shared:1 - tmpfs tmpfs rw\n'
  assert.deepEqual(parseMounts(table), [
    { point: '/', type: 'ext4', source: '/dev/vda' },
    { point: '/mnt/my disk', type: 'tmpfs', source: 'tmpfs' },
  ])
})
