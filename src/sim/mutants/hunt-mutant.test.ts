import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { catalogue } from './catalogue.ts'
import { huntMutant, openThread } from './hunt-mutant.ts'
import type { Mutant } from './mutant.ts'

const mutantOf = (id: string): Mutant => {
  const found = catalogue.find((mutant) => mutant.id === id)
  assert.ok(found, id)
  return found
}

describe('a hunt', () => {
  for (const [id, checker] of [
    ['silence-is-proof-enough', 'fenced-before-restarted'],
    ['incarnation-stays', 'epochs-only-grow'],
    ['deleted-but-for-its-disks', 'no-orphan-volumes'],
  ] as const) {
    test(`catches ${id} by ${checker} within seconds`, async () => {
      await using product = openThread(null)
      const plain = async (assigned: Parameters<typeof product.judge>[0]) =>
        (await product.judge(assigned)).violations.map((violation) => violation.checker)
      const hunt = await huntMutant(mutantOf(id), { mostEpisodes: 40, firstNumber: 1, plain })
      assert.equal(hunt.kind, 'caught')
      assert.ok(hunt.kind === 'caught' && hunt.by.includes(checker), JSON.stringify(hunt))
    })
  }

  test('takes nothing for the mutant that is seen of the product as well', async () => {
    const plain = async () => ['epochs-only-grow']
    const hunt = await huntMutant(mutantOf('incarnation-stays'), { mostEpisodes: 8, firstNumber: 1, plain })
    assert.equal(hunt.kind, 'survived')
  })

  test('of a bug that the catalogue does not have says so', async () => {
    await using thread = openThread('no-such-mutant')
    const { violations } = await thread.judge({ number: 1, kind: 'faulty' })
    assert.deepEqual(violations, [{ checker: 'nothing-breaks', message: 'there is no mutant no-such-mutant' }])
  })
})
