import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostIdOf, makeCluster, makeHost, makeVm, sessionIdOf, someTime } from '../model/cluster-state.fixture.ts'
import { taskIdSchema } from '../model/ids.ts'
import { movesAtOncePerHost, whyMoveWaits } from './move-room.ts'

/** So many machines that move from ada to bob. */
function cloudWith(count: number) {
  const vms = Array.from({ length: count }, (_, index) => {
    const migration = {
      taskId: taskIdSchema.parse('task-aaaaaaaa'),
      sourceHostId: hostIdOf('ada'),
      sourceEpoch: 5,
      destinationHostId: hostIdOf('bob'),
      epoch: 6,
      session: sessionIdOf('bob'),
      phase: 'moving' as const,
      disks: [],
      startedAt: someTime,
      reason: 'asked for',
    }
    return { ...makeVm(`web${index}`, { on: 'ada' }), migration }
  })
  return makeCluster({ hosts: [makeHost('ada'), makeHost('bob'), makeHost('cyd'), makeHost('dan')], vms })
}

const between = (from: string, to: string, count: number) =>
  whyMoveWaits(cloudWith(count), [hostIdOf(from), hostIdOf(to)])

test('a host takes part in so many moves at once, in whichever direction; further ones wait and say for whom', () => {
  assert.equal(between('ada', 'bob', movesAtOncePerHost - 1), undefined)
  assert.match(between('ada', 'cyd', movesAtOncePerHost) ?? '', /4 machines move from or to ada/)
  assert.match(between('cyd', 'bob', movesAtOncePerHost) ?? '', /4 machines move from or to bob/)
  assert.match(between('bob', 'cyd', movesAtOncePerHost) ?? '', /bob/)
})

test('hosts that nothing moves from or to wait for nobody', () => {
  assert.equal(between('cyd', 'dan', 9), undefined)
})
