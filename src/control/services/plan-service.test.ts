import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeCluster, makeHost, makeVm, someTime, tinyTemplate } from '../../model/cluster-state.fixture.ts'
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import { serviceIdSchema, templateIdSchema } from '../../model/ids.ts'
import { type ServiceRecord, serviceSpecSchema } from '../../model/service/service.ts'
import { type ServiceFileInput, serviceFileSchema } from '../../model/service/service-file.ts'
import { admitVm } from '../admit-vm.ts'
import { planService } from './plan-service.ts'
import { serviceStatus } from './service-status.ts'
import { wishForMember } from './wish-for-member.ts'

const serviceId = serviceIdSchema.parse('svc-shop0000')
const tiny = { template: 'tiny' }
const parse = (components: ServiceFileInput['components'], more: Partial<ServiceFileInput> = {}) =>
  serviceFileSchema.parse({ service: 'shop', components, ...more })
const record = (file: ReturnType<typeof parse>): ServiceRecord => ({
  spec: serviceSpecSchema.parse({
    id: serviceId,
    name: 'shop',
    file,
    lifecycle: 'live',
    createdAt: someTime,
    appliedAt: someTime,
  }),
  lessons: {},
})
const readyTemplates = { hosts: [makeHost('ada'), makeHost('bob')] }

function member(component: string, replica: number, changes: Partial<VmRecord['spec']> = {}): VmRecord {
  const name = `shop-${component}-${replica}`
  const membership = { serviceId, component, replica }
  return makeVm(`${component}${replica}`, {
    spec: { name, ha: true, membership, ...changes },
    status: { state: 'running' },
  })
}
const steps = (cluster: ClusterState, file: ReturnType<typeof parse>, prune = false) =>
  planService(cluster, file, { present: record(file), prune }).plan.steps.map(({ kind, vmName }) => `${kind} ${vmName}`)

describe('the plan of a service', () => {
  test('makes what is missing, in the order in which it is needed, with reasons', () => {
    const file = parse({ web: { ...tiny, needs: ['db'], replicas: 2 }, db: tiny })
    const { plan, problems } = planService(makeCluster(readyTemplates), file, { present: undefined, prune: false })
    assert.deepEqual([plan.isNew, problems], [true, []])
    assert.deepEqual(
      plan.steps.map(({ vmName, reason }) => `${vmName}: ${reason}`),
      [
        'shop-db-1: replica 1 of 1',
        'shop-web-1: replica 1 of 2, when db serves',
        'shop-web-2: replica 2 of 2, when db serves',
      ],
    )
  })

  test('has nothing to do when all is as the file says', () => {
    const file = parse({ db: tiny, web: { ...tiny, replicas: 2 } })
    const vms = [member('db', 1), member('web', 1), member('web', 2)]
    assert.deepEqual(steps(makeCluster({ ...readyTemplates, vms }), file), [])
  })

  test('deletes replicas above the number that is said, and components that are not named only on request', () => {
    const file = parse({ web: tiny })
    const vms = [member('web', 1), member('web', 2), member('old', 1)]
    const cluster = makeCluster({ ...readyTemplates, vms })
    assert.deepEqual(steps(cluster, file), ['delete shop-web-2', 'keep shop-old-1'])
    assert.deepEqual(steps(cluster, file, true), ['delete shop-web-2', 'delete shop-old-1'])
  })

  test('never touches a machine of another owner', () => {
    const vms = [makeVm('web1', { spec: { name: 'shop-web-1' } })]
    assert.deepEqual(steps(makeCluster({ ...readyTemplates, vms }), parse({ web: tiny })), ['create shop-web-1'])
  })

  test('says field by field what changes on a machine', () => {
    const file = parse({ web: { ...tiny, memoryMiB: 512, recovery: 'warm' } })
    const cluster = makeCluster({ ...readyTemplates, vms: [member('web', 1)] })
    const [step] = planService(cluster, file, { present: record(file), prune: false }).plan.steps
    assert.ok(step?.kind === 'change')
    assert.equal(step.reason, 'memoryMiB: 256 → 512, recovery: {"mode":"boot"} → {"mode":"warm"}')
  })

  test('refuses what a machine keeps for life, a template without a readiness check, and what is not there', () => {
    const mute = { ...tinyTemplate, id: templateIdSchema.parse('tpl-mute0000'), name: 'mute', readiness: null }
    const cluster = makeCluster({ ...readyTemplates, templates: [mute], vms: [member('web', 1)] })
    const problemsOf = (components: ServiceFileInput['components']) => {
      const file = parse(components)
      return planService(cluster, file, { present: record(file), prune: false }).problems.map(
        ({ path, message }) => `${path.join('.')}: ${message}`,
      )
    }
    assert.match(
      problemsOf({ db: { template: 'mute' } })[0] ?? '',
      /db.template: mute has no readiness check: give db a probe/,
    )
    assert.deepEqual(problemsOf({ db: { template: 'gone' } }), [
      'components.db.template: there is no built template gone',
    ])
    assert.deepEqual(problemsOf({ db: { ...tiny, networks: ['dev'] } }), [
      'components.db.networks.0: there is no network dev',
    ])
    const probe = { check: { kind: 'tcp', port: 80 } } as const
    assert.match(
      problemsOf({ web: { template: 'mute', probe } })[0] ?? '',
      /made with template tiny, not mute, and keeps that for life/,
    )
    assert.match(problemsOf({ web: { ...tiny, ha: false } })[0] ?? '', /made with ha true, not false/)
  })

  test('warns of a promise that the death of a host breaks, however fast machines recover', () => {
    const file = parse({ web: tiny, api: { ...tiny, replicas: 2 } }, { recovery: 'warm', recoverWithin: '2s' })
    const { warnings } = planService(makeCluster(readyTemplates), file, { present: undefined, prune: false }).plan
    assert.match(warnings[0] ?? '', /when a whole host dies, web may be away for longer than 2s: .* after \d+ ms/)
  })

  test('is done when its steps are: the machines that it wishes for are those that it finds', () => {
    const file = parse({ db: tiny, web: { ...tiny, needs: ['db'], memoryMiB: 200, recovery: 'warm', replicas: 2 } })
    const vms = new Map<VmRecord['spec']['id'], VmRecord>()
    const cluster = { ...makeCluster(readyTemplates), vms }
    for (let made = 0; made < 3; made += 1) {
      const [step] = planService(cluster, file, { present: record(file), prune: false }).plan.steps
      assert.ok(step?.kind === 'create')
      const wish = wishForMember(file, { serviceId, ...step })
      assert.ok(wish)
      const { spec } = member(step.component, step.replica)
      const identity = {
        vmId: spec.id,
        volumeIds: spec.disks.map(({ volumeId }) => volumeId),
        generationId: spec.generationId,
        createdAt: someTime,
      }
      const admission = admitVm(cluster, wish, identity)
      assert.ok(admission.kind === 'admitted', JSON.stringify(admission))
      const vm = {
        spec: { ...admission.spec, number: made + 1 },
        placement: undefined,
        status: undefined,
        standby: undefined,
      }
      vms.set(spec.id, vm)
    }
    assert.deepEqual(steps(cluster, file), [])
  })
})

test('a service is up with all its replicas, degraded with some of them, and down when a component has none', () => {
  const file = parse({ db: tiny, web: { ...tiny, replicas: 2 } })
  const healthWith = (...vms: VmRecord[]) => serviceStatus(makeCluster({ vms }), record(file)).health
  const away = (component: string, replica: number) => member(component, replica, { desired: 'stopped' })
  const unprobed = (component: string, replica: number) => member(component, replica, { probe: null })
  assert.equal(healthWith(unprobed('db', 1), unprobed('web', 1), unprobed('web', 2)), 'up')
  assert.equal(healthWith(unprobed('db', 1), unprobed('web', 1), away('web', 2)), 'degraded')
  assert.equal(healthWith(unprobed('db', 1), away('web', 1)), 'down')
})
