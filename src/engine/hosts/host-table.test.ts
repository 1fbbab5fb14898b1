import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostIdOf } from '../../model/cluster-state.fixture.ts'
import { createHostTable } from './host-table.ts'

test('an answer of a host’s kernel does not grow old while the leader stands still, nor does the silence', () => {
  const table = createHostTable(0)
  const ada = hostIdOf('ada')
  table.speaks(ada)
  table.tick(50, 100)
  table.kernelAnswered(ada, table.attentiveMs())
  table.tick(5_000, 100)
  const { kernelAnsweredAgoMs, attentiveSilentMs, silentMs } = table.observation(ada, 5_000)
  assert.deepEqual([kernelAnsweredAgoMs, attentiveSilentMs, silentMs], [100, 150, 5_000])
})
