import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { serviceFileSchema } from '../../model/service/service-file.ts'
import { CommandFailure } from '../command-failure.ts'
import { openTerminal } from '../stand-in/open-terminal.fixture.ts'
import { parseServiceFile } from './read-service-file.ts'

const terminal = openTerminal()
const { dialtone } = terminal
const changes = () => terminal.standIn.situation.changes
const root = join(import.meta.dirname, '../../..')
const example = join(root, 'examples/shop/shop.yaml')

/** The sentences that a file is refused with. */
function refusalOf(text: string): readonly string[] {
  try {
    parseServiceFile(text, 'shop.yaml')
  } catch (error) {
    assert.ok(error instanceof CommandFailure)
    return error.message.split('\n')
  }
  throw new Error('it was not refused')
}

describe('a service file', () => {
  test('that is not YAML is refused with line and column', () => {
    assert.match(refusalOf('service: shop\ncomponents: {web: [}\n')[0] ?? '', /^shop\.yaml:2:\d+: /)
    assert.match(refusalOf('service: shop\nservice: again\n')[0] ?? '', /^shop\.yaml:2:1: .*unique/i)
  })

  test('with unknown fields, wrong values, circles and double groups is told where each stands', () => {
    const text = [
      'service: shop',
      'components:',
      '  web:',
      '    template: tiny',
      '    replica: 3',
      '    recovery: cold',
    ].join('\n')
    const [unknown, wrong] = refusalOf(text).toSorted((left, right) => left.localeCompare(right))
    assert.equal(unknown, 'shop.yaml:5:5: there is no field replica here')
    assert.match(wrong ?? '', /^shop\.yaml:6:5: components\.web\.recovery: /)
    const circle = [
      'service: shop',
      'components:',
      '  web: { template: tiny, needs: [db] }',
      '  db: { template: tiny, needs: [web] }',
      'groups:',
      '  - { name: a, components: [web] }',
      '  - { name: b, components: [db, web] }',
    ].join('\n')
    assert.deepEqual(refusalOf(circle), [
      'shop.yaml:3:3: each waits for the next one: web → db → web',
      'shop.yaml:7:33: web is in two groups, a and b',
    ])
    assert.match(refusalOf('components:\n  web: { template: tiny }\n')[0] ?? '', /^shop\.yaml:1:1: service: /)
  })

  test('has the schema that docs/service-file.schema.json says', async () => {
    const path = join(root, 'docs/service-file.schema.json')
    const wanted = `${JSON.stringify(z.toJSONSchema(serviceFileSchema, { io: 'input' }), null, 2)}\n`
    if (process.env['ACCEPT'] === '1') await writeFile(path, wanted)
    assert.equal(await readFile(path, 'utf8'), wanted, 'ACCEPT=1 node --test src/cli/services writes it anew')
    assert.equal((await dialtone('service schema')).out, wanted)
  })

  test('of the examples can be read', async () => {
    assert.equal(parseServiceFile(await readFile(example, 'utf8'), 'shop.yaml').file.service, 'shop')
  })
})

describe('dialtone apply', () => {
  test('--dry-run shows the plan and does nothing; without it the task is followed', async () => {
    const dry = await dialtone(`apply -f ${example} --dry-run`)
    assert.equal(dry.code, 0)
    assert.match(dry.out, /\+ +create +shop-worker-3 +replica 3 of 3/)
    assert.match(dry.err, /warning: when a whole host dies/)
    const wet = await dialtone(`apply -f ${example} --prune`)
    assert.match(wet.out, /shop is as the file says/)
    assert.deepEqual(changes(), ['apply shop dry keep', 'apply shop wet prune'])
  })

  test('shows what the controller refuses where it stands in the file', async () => {
    const path = join(terminal.home, 'refused.yaml')
    await writeFile(path, 'service: refused\ncomponents:\n  web:\n    template: gone\n')
    const { code, err } = await dialtone(`apply -f ${path}`)
    assert.equal(code, 2)
    assert.match(err, /refused\.yaml:4:5: is not built/)
  })
})

describe('dialtone service', () => {
  test('list, status and show say how it is, and all of it with --json', async () => {
    assert.match((await dialtone('service list')).out, /shop +degraded +2 +2\/3 +1 /)
    assert.match((await dialtone('service status shop')).out, /worker +degraded +shop-worker-2 +failed +no /)
    const { out } = await dialtone('service show shop')
    assert.match(out, /with-worker\(worker cache\) \(derived/)
    assert.match(out, /with-worker +cache, worker +yes +worker failed for 4000 ms/)
    assert.equal(JSON.parse((await dialtone('service show shop --json')).out).name, 'shop')
    assert.equal(JSON.parse((await dialtone('service list --json')).out).services.length, 1)
  })

  test('scale takes component=number, and refuses anything else', async () => {
    assert.equal((await dialtone('service scale shop worker=3 cache=2')).code, 0)
    assert.deepEqual(changes(), ['scale shop {"worker":3,"cache":2}'])
    assert.match((await dialtone('service scale shop worker')).err, /written like web=3/)
  })

  test('delete asks for the name first', async () => {
    assert.match((await dialtone('service delete shop')).err, /needs a confirmation/)
    assert.deepEqual(changes(), [])
    assert.match((await dialtone('service delete shop --yes')).out, /shop is deleted/)
    assert.deepEqual(changes(), ['delete shop'])
  })
})
