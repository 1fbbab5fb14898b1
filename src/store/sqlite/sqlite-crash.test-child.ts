/** Started and killed by `sqlite-crash.test.ts`: commits as fast as it can and says what was acknowledged, line by line. */
import { writeSync } from 'node:fs'
import { openSqliteStore } from './sqlite-store.ts'

const [path = '', round = ''] = process.argv.slice(2)
const store = await openSqliteStore({ path })
writeSync(1, 'open\n')

async function commitForever(writer: number): Promise<void> {
  for (let count = 0; ; count += 1) {
    const id = `${round}-${writer}-${count}`
    const writes = Array.from(
      { length: 10 },
      (_, part) => ({ kind: 'put', key: `part/${id}/${part}`, value: id }) as const,
    )
    const result = await store.commit({ conditions: [], writes })
    if (result.kind === 'committed') writeSync(1, `${id} ${result.revision}\n`)
  }
}

await Promise.all([1, 2, 3].map(commitForever))
