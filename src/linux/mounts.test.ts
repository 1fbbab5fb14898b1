import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mountPointsIn } from './mounts.ts'

test('mount points are read with their spaces', () => {
  const table =
    '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n31 23 0:28 / /mnt/my\\040disk rw,relatime shared:1 - tmpfs tmpfs rw\n'
  assert.deepEqual(mountPointsIn(table), ['/', '/mnt/my disk'])
})
