/** An operation that is asked for in the middle of a move of a guest that writes to its memory all the time. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Before, Operation } from './operation.ts'
import type { Subject } from './subject.ts'
import { askFor, judge, type Outcome } from './try-operation.ts'

/** So much of its memory is written anew each second. */
const loadMib = 48
const mibPerSecond = 50

/** What came of it. The move ends well, with every byte of the memory, unless the operation ended the machine. */
export async function whileItMoves(subject: Subject, operation: Operation, before: Before): Promise<Outcome> {
  const { api, name, laboratory } = subject
  await subject.guest('POST', `/load?mib=${loadMib}&rate=${mibPerSecond}`)
  const from = (await subject.look()).hostName
  const { task } = await api.call('migrateVm', { params: { vm: name }, body: { force: true } })
  await untilSending(subject, task.id)
  const { refusal, over } = await askFor(operation, subject)
  assert.notEqual((await subject.look()).migration, null, 'the move was over before it was asked for')
  const move = laboratory.untilTaskEnds(task.id)
  await move.catch(() => undefined)
  await over()
  const outcome = refusal ?? (await judge(operation, subject, before))
  if (refusal !== undefined || operation.changesContents !== true) {
    await move
    assert.notEqual((await subject.look()).hostName, from)
    assert.match(await subject.guest('GET', '/load/check'), /"ok":true/)
    await subject.guest('DELETE', '/load')
  }
  return outcome
}

async function untilSending({ api }: Subject, taskId: string): Promise<void> {
  const givesUpAtMs = performance.now() + 40_000
  for (;;) {
    const task = await api.call('getTask', { params: { task: taskId } })
    if (task.steps.some(({ name, state }) => name === 'move' && state !== 'pending')) return
    assert.ok(performance.now() < givesUpAtMs && task.endedAt === null, `the move is ${task.state}: ${task.message}`)
    await delay(5)
  }
}
