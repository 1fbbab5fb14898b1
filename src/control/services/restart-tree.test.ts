import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ServiceFileInput, serviceFileSchema } from '../../model/service/service-file.ts'
import { type Cell, pathTo, restartTreeOf } from './restart-tree.ts'
import { inWaves, wavesOf } from './start-waves.ts'

const tiny = { template: 'tiny' }
const parse = (file: Omit<ServiceFileInput, 'service'>) => serviceFileSchema.parse({ service: 'shop', ...file })
const draw = ({ name, cells }: Cell): string => (cells.length === 0 ? name : `${name}(${cells.map(draw).join(' ')})`)

describe('a restart tree', () => {
  test('is the groups that are written down, with what is in none of them beside', () => {
    const components = { db: tiny, cache: tiny, worker: tiny, web: tiny }
    const groups = [{ name: 'back', components: ['db'], groups: [{ name: 'jobs', components: ['cache', 'worker'] }] }]
    const tree = restartTreeOf(parse({ components, groups }))
    assert.equal(draw(tree), 'shop(back(jobs(cache worker) db) web)')
    assert.deepEqual(
      pathTo(tree, 'cache').map(({ name }) => name),
      ['cache', 'jobs', 'back', 'shop'],
    )
  })

  test('that is derived joins what only one needs to that one, and leaves alone what several need', () => {
    const components = {
      db: tiny,
      cache: tiny,
      worker: { ...tiny, needs: ['cache', 'db'] },
      web: { ...tiny, needs: ['db'] },
      mail: tiny,
    }
    assert.equal(draw(restartTreeOf(parse({ components }))), 'shop(with-worker(worker cache) db web mail)')
  })

  test('holds every component exactly once as a cell of its own, whatever they need', () => {
    const names = Array.from({ length: 60 }, (_, index) => `c${index}`)
    const components = Object.fromEntries(
      names.map((name, index) => {
        const needs = names.slice(0, index).filter((_, earlier) => (earlier * 7 + index * 3) % 11 === 0)
        return [name, { ...tiny, needs }]
      }),
    )
    const leaves = (cell: Cell): string[] => (cell.cells.length === 0 ? [cell.name] : cell.cells.flatMap(leaves))
    assert.deepEqual(leaves(restartTreeOf(parse({ components }))).toSorted(), names.toSorted())
  })
})

test('what is needed, or started before, comes in an earlier wave', () => {
  const { components } = parse({
    components: { web: { ...tiny, needs: ['api'] }, api: { ...tiny, startsAfter: ['db'] }, db: tiny, mail: tiny },
  })
  assert.deepEqual(inWaves(wavesOf(components), ['web', 'db', 'mail', 'api']), [['db', 'mail'], ['api'], ['web']])
})
