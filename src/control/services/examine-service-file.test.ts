import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ServiceFileInput, serviceFileSchema } from '../../model/service/service-file.ts'
import { examineServiceFile } from './examine-service-file.ts'
import { expectedAvailability } from './judge-objective.ts'

const tiny = { template: 'tiny' }
const problemsOf = (file: Partial<ServiceFileInput>) =>
  examineServiceFile(serviceFileSchema.parse({ service: 'shop', components: { web: tiny }, ...file })).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  )

describe('a service file', () => {
  test('that makes sense has no problems', () => {
    const components = { cache: tiny, web: { ...tiny, needs: ['cache'], replicas: 3 } }
    assert.deepEqual(problemsOf({ components, groups: [{ name: 'all', components: ['web', 'cache'] }] }), [])
  })

  test('in which components wait for each other in a circle is told the circle', () => {
    const components = {
      web: { ...tiny, needs: ['api'] },
      api: { ...tiny, startsAfter: ['db'] },
      db: { ...tiny, needs: ['web'] },
    }
    assert.deepEqual(problemsOf({ components }), ['components.web: each waits for the next one: web → api → db → web'])
  })

  test('is told which component is in two groups, however deep, which does not exist, and which group has a taken name', () => {
    const groups = [
      { name: 'front', components: ['web'] },
      { name: 'back', groups: [{ name: 'front', components: ['web', 'db'] }] },
    ]
    assert.deepEqual(problemsOf({ groups }), [
      'groups.1.groups.0.name: front is the name of something else in this service',
      'groups.1.groups.0.components.0: web is in two groups, front and front',
      'groups.1.groups.0.components.1: there is no component db',
    ])
  })

  test('is told what waits for what is not there or for itself, and which names grow too long', () => {
    const name = 'a'.repeat(36)
    const components = { [name]: { ...tiny, needs: ['gone', name] } }
    const [missing, itself, tooLong] = problemsOf({ components })
    assert.match(missing ?? '', /needs\.0: there is no component gone/)
    assert.match(itself ?? '', /needs\.1: .* can't wait for itself/)
    assert.match(tooLong ?? '', /which has 43 characters; 40 are the most/)
  })

  test('may not name a field that nobody knows', () => {
    const parsed = serviceFileSchema.safeParse({ service: 'shop', components: { web: { ...tiny, replica: 3 } } })
    assert.match(parsed.error?.message ?? '', /Unrecognized key/)
  })
})

describe('what a service promises', () => {
  test('is refused where a machine takes longer to recover, with the numbers and what would help', () => {
    const [problem] = problemsOf({ recoverWithin: '2s' })
    assert.match(
      problem ?? '',
      /recoverWithin: web can't be back within 2000 ms: it recovers by booting, which takes about 5250 ms/,
    )
    assert.match(problem ?? '', /let it recover warm \(about 400 ms\)/)
    assert.deepEqual(problemsOf({ recoverWithin: '2s', recovery: 'warm' }), [])
    assert.deepEqual(problemsOf({ recoverWithin: '2s', components: { web: { ...tiny, replicas: 2 } } }), [])
  })

  test('is refused where arithmetic forbids it: failures too often, recoveries too long', () => {
    const [problem] = problemsOf({ availability: 99.999, assumedMttf: '1d' })
    assert.match(
      problem ?? '',
      /availability: 99.999 per cent can't be reached: with a failure of each machine every 1d, 99\.99\d+ per cent/,
    )
    assert.deepEqual(problemsOf({ availability: 99.999 }), [])
  })

  test('is expected of the product of all components, replicas failing independently', () => {
    const file = (replicas: number) =>
      serviceFileSchema.parse({ service: 'shop', assumedMttf: '5250ms', components: { web: { ...tiny, replicas } } })
    assert.equal(expectedAvailability(file(1)).percent, 50)
    assert.equal(expectedAvailability(file(2)).percent, 75)
  })
})
