/**
 * Each operation in each state of a machine, on real guests: the table of docs/operations-by-state.md, cell by cell. What the guest has in
 * memory and on its disk is read after each; a refusal has the code and the next step that the table promises.
 *
 * `npm run e2e -- operations-by-state --rounds 1` tries every cell; what no other file tries is part of `npm test`.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isThorough } from './is-thorough.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'
import { dieAndResume, grow, small, stateKeeper } from './operations/enter-state.ts'
import { hardwareOperations } from './operations/hardware-operations.ts'
import type { Operation } from './operations/operation.ts'
import { powerOperations } from './operations/power-operations.ts'
import { snapshotOperations } from './operations/snapshot-operations.ts'
import { type Subject, subjectIn } from './operations/subject.ts'
import { type Cell, type OperationName, type State, states, stateTitles, table } from './operations/table.ts'
import { askFor, judge, lookBefore, type Outcome, requireUnharmed } from './operations/try-operation.ts'
import { whileItMoves } from './operations/while-it-moves.ts'

const operations: Readonly<Record<OperationName, Operation>> = {
  ...hardwareOperations,
  ...snapshotOperations,
  ...powerOperations,
}
let laboratory: OpenLaboratory

before(async () => {
  laboratory = await openLaboratory('e2e-ops', ['--hosts', '2', '--post-delay', '300'])
  await laboratory.api.call('createNetwork', { body: { name: 'side', subnet: '10.79.0.0/24' } })
})
after(() => laboratory?.[Symbol.asyncDispose]())

for (const state of isThorough ? states : [])
  test(`each operation on a machine: ${stateTitles[state]}`, (t) => tryAll(state, operationNames(), t))

test('after a hot-add a machine returns to a snapshot, and goes on after its process died, with all that had come', async () => {
  const subject = subjectIn(laboratory, 'grown')
  await laboratory.deploy(subject.name, { memoryMiB: small.memoryMiB })
  await grow(subject)
  const operation = operations['vm snapshot revert, with memory']
  requireCell(await tryOne(subject, { state: 'grown', operation, enter: async () => undefined }), { kind: 'works' })
  await operation.tidy?.(subject)
  const { bootId } = await subject.answer()
  const shape = await subject.shape()
  await dieAndResume(subject, { mode: 'checkpoint', everySeconds: 86_400, keep: 1 })
  await subject.fitted()
  assert.deepEqual([(await subject.answer()).bootId, await subject.shape()], [bootId, shape])
})

const beforeMoves: readonly OperationName[] = [
  'vm snapshot create --disk',
  'vm snapshot create --memory',
  'vm snapshot revert, with memory',
  'vm snapshot delete',
  'vm change begin',
  'vm disk attach',
  'vm disk detach',
  'vm clone --linked',
  'vm clone, from memory',
  'vm recover --by boot',
]
if (isThorough)
  test('a move that is asked for while something else is under way is refused or made, and both end well', async (t) => {
    const subject = subjectIn(laboratory, 'busy')
    await laboratory.deploy(subject.name, { memoryMiB: small.memoryMiB })
    for (const name of beforeMoves)
      await t.test(name, async (each) => each.diagnostic(await moveMeanwhile(subject, operations[name])))
  })

/** What came of the move. */
async function moveMeanwhile(subject: Subject, operation: Operation): Promise<string> {
  await subject.write('here')
  try {
    await operation.prepare?.(subject, 'running')
    const seen = await lookBefore(subject)
    const asked = await askFor(operation, subject)
    const move = await askFor(operations['vm migrate'], subject)
    const moved = await move.over().then(
      () => 'made',
      (error: unknown) => `given up: ${String(error)}`,
    )
    assert.equal(asked.refusal, undefined)
    const failed = await asked.over().then(
      () => undefined,
      (error: unknown) => String(error),
    )
    // One of the two came first, and the other one says so.
    if (failed === undefined) await operation.check(subject, seen)
    else assert.match(failed, /being moved/)
    if (failed !== undefined || operation.changesContents !== true) await requireUnharmed(subject, seen)
    assert.doesNotMatch(moved, /memory was lost/)
    return move.refusal === undefined ? moved : `refused: ${JSON.stringify(move.refusal)}`
  } finally {
    await operation.tidy?.(subject)
  }
}

/** One after the other, all of them, each as a test of its own. */
async function tryAll(
  state: State,
  names: readonly OperationName[],
  t: { test(name: string, run: () => Promise<void>): Promise<void> },
): Promise<void> {
  const subject = subjectIn(laboratory, `m-${state}`)
  await laboratory.deploy(subject.name, { memoryMiB: small.memoryMiB })
  const keeper = stateKeeper(subject, state)
  await subject.write('begun')
  for (const name of names) {
    const cell = table[name][state]
    await t.test(`${name}: ${cell.kind}`, async () => {
      const operation = operations[name]
      await keeper.enter()
      try {
        if (state !== 'stopped') await subject.write(`before ${name}`)
        const outcome = await tryOne(subject, { state, operation, enter: keeper.enter })
        if (state === 'migrating' || name === 'vm migrate') await keeper.hasMoved()
        requireCell(outcome, cell)
      } finally {
        await operation.tidy?.(subject)
      }
    })
  }
}

async function tryOne(
  subject: Subject,
  { state, operation, enter }: { readonly state: State; readonly operation: Operation; enter(): Promise<void> },
): Promise<Outcome> {
  await operation.prepare?.(subject, state)
  await enter()
  const seen = await lookBefore(subject)
  const outcome =
    state === 'migrating' ? await whileItMoves(subject, operation, seen) : await tryNow(subject, operation, seen)
  if (outcome.kind === 'refused' || operation.changesContents !== true) await requireUnharmed(subject, seen)
  return outcome
}

async function tryNow(
  subject: Subject,
  operation: Operation,
  seen: Awaited<ReturnType<typeof lookBefore>>,
): Promise<Outcome> {
  const { refusal, over } = await askFor(operation, subject)
  await over()
  return refusal ?? judge(operation, subject, seen)
}

function requireCell(outcome: Outcome, cell: Cell): void {
  assert.equal(outcome.kind, cell.kind, JSON.stringify(outcome))
  if (outcome.kind !== 'refused' || cell.kind !== 'refused') return
  assert.equal(outcome.code, cell.code)
  assert(outcome.message.includes(cell.words), outcome.message)
}

function operationNames(): readonly OperationName[] {
  const isOperation = (name: string): name is OperationName => name in table
  return Object.keys(table).filter(isOperation)
}
