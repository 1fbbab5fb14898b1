import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFakeHypervisor } from './fake/fake-hypervisor.ts'
import { createFakeWorld } from './fake/fake-world.ts'
import type { Hypervisor } from './hypervisor.ts'
import { limitStarts } from './limit-starts.ts'
import { sampleDefinition } from './sample-definition.ts'

test('no more processes start at once than are allowed, all of them start, and one that fails gives its turn away', async () => {
  let atOnce = 0
  let most = 0
  let begun = 0
  const slow: Hypervisor = {
    ...createFakeHypervisor({ world: createFakeWorld() }),
    async start(definition) {
      atOnce += 1
      begun += 1
      most = Math.max(most, atOnce)
      await new Promise((resolve) => setImmediate(resolve))
      atOnce -= 1
      if (definition.life.epoch % 2 === 0) throw new Error('broken')
      return createFakeHypervisor({ world: createFakeWorld() }).start(definition)
    },
  }
  const limited = limitStarts(slow, 2)
  const life = sampleDefinition().life
  const starts = Array.from({ length: 9 }, (_, index) =>
    limited.start(sampleDefinition({ life: { ...life, epoch: index + 1 } })),
  )
  const outcomes = await Promise.allSettled(starts)
  assert.equal(begun, 9)
  assert.equal(most, 2)
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 5)
})
