import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Store } from '../store.ts'
import { openSqliteStore } from './sqlite-store.ts'

const kills = 24
const partsPerTransaction = 10

it(`loses nothing acknowledged and shows no half transaction over ${kills} kills`, async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'dialtone-crash-'))
  const path = join(folder, 'state.db')
  const acknowledged = new Map<string, number>()
  try {
    for (let round = 0; round < kills; round += 1) {
      const before = acknowledged.size
      for (const [id, revision] of await runAndKill(path, round)) acknowledged.set(id, revision)
      context.diagnostic(`round ${round}: ${acknowledged.size - before} acknowledged`)
      await using store = await openSqliteStore({ path })
      await assertWhole(store, acknowledged)
    }
    assert.ok(acknowledged.size > kills, 'the children came to commit')
  } finally {
    await rm(folder, { recursive: true })
  }
})

/** What the child said before it was killed; a line without its end was not said. */
async function runAndKill(path: string, round: number): Promise<Map<string, number>> {
  const script = fileURLToPath(new URL('./sqlite-crash.test-child.ts', import.meta.url))
  const child = spawn(process.execPath, [script, path, `${round}`], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    output += chunk
  })
  // Every fourth is killed while it starts, so that some kills fall into the recovery of the journal left by the one before.
  const isOpening = round % 4 === 3
  if (!isOpening) await opened(child, () => output.includes('\n'))
  await new Promise((resolve) => setTimeout(resolve, isOpening ? randomInt(80, 300) : randomInt(0, 120)))
  child.kill('SIGKILL')
  await once(child, 'close')
  const lines = output.split('\n').slice(0, -1)
  return new Map(
    lines
      .filter((line) => line !== 'open')
      .map((line): [string, number] => {
        const [id = '', revision = ''] = line.split(' ')
        return [id, Number(revision)]
      }),
  )
}

async function opened(child: ChildProcess, isOpen: () => boolean): Promise<void> {
  const signal = AbortSignal.timeout(20_000)
  while (!isOpen() && child.stdout !== null) await once(child.stdout, 'data', { signal })
}

async function assertWhole(store: Store, acknowledged: ReadonlyMap<string, number>): Promise<void> {
  const { entries, revision } = await store.range('part/')
  const revisionsOf = new Map<string, number[]>()
  for (const entry of entries) {
    const revisions = revisionsOf.get(entry.value) ?? []
    revisions.push(entry.modRevision)
    revisionsOf.set(entry.value, revisions)
  }
  for (const [id, revisions] of revisionsOf) {
    assert.equal(revisions.length, partsPerTransaction, `all parts of ${id}`)
    assert.equal(new Set(revisions).size, 1, `${id} has one revision`)
  }
  for (const [id, acknowledgedRevision] of acknowledged) {
    assert.equal(revisionsOf.get(id)?.[0], acknowledgedRevision, `${id} was acknowledged`)
    assert.ok(acknowledgedRevision <= revision)
  }
}
