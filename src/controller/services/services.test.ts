/** Services against fake hosts, under virtual time, through the API's own handlers. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Cloud, startCloud } from '../../engine/cloud.fixture.ts'
import { DialtoneError, type ErrorCode } from '../../model/dialtone-error.ts'
import { taskIdSchema } from '../../model/ids.ts'
import { type ServiceFileInput, serviceFileSchema } from '../../model/service/service-file.ts'
import { serviceHandlers } from '../handlers/service-handlers.ts'
import { applyServiceSaga } from './apply-service-saga.ts'
import { deleteServiceSaga } from './delete-service-saga.ts'

const ann = { name: 'ann', role: 'operator' } as const
const scope = { signal: new AbortController().signal, after: undefined }
const tiny = { template: 'tiny' }
const shop: ServiceFileInput['components'] = {
  web: { ...tiny, needs: ['db'], replicas: 2 },
  db: tiny,
}
const open = () =>
  startCloud({
    hosts: [{ name: 'ada' }, { name: 'bob' }],
    moreSagas: (leader, tasks) => [applyServiceSaga(leader, tasks), deleteServiceSaga(leader, tasks)],
  })
const handlersOf = (cloud: Cloud) => serviceHandlers({ engine: cloud.engine() })

type How = { readonly dryRun?: boolean; readonly prune?: boolean }
async function apply(
  cloud: Cloud,
  components: ServiceFileInput['components'],
  { dryRun = false, prune = false }: How = {},
) {
  const file = serviceFileSchema.parse({ service: 'shop', components })
  return during(
    cloud,
    handlersOf(cloud).applyService({ body: { file, dryRun, prune }, params: undefined, query: undefined }, ann, scope),
  )
}

/** Virtual time passes until it has answered. */
async function during<T>(cloud: Cloud, answer: T | Promise<T>): Promise<T> {
  let isOver = false
  const waiting = Promise.resolve(answer).finally(() => (isOver = true))
  waiting.catch(() => undefined)
  for (let turn = 0; turn < 100 && !isOver; turn += 1) await cloud.clock.advance(1)
  return waiting
}

/** Until the task has ended; machines begin to answer as soon as they run. */
async function end(cloud: Cloud, taskId: string): Promise<string | undefined> {
  const id = taskIdSchema.parse(taskId)
  await cloud.clock.until('the task has ended', () => (cloud.state().tasks.get(id)?.endedAt ?? null) !== null, 400_000)
  return cloud.taskState(id)
}

const names = (cloud: Cloud) => [...cloud.state().vms.values()].map(({ spec }) => spec.name).toSorted()
const isRefused = (code: ErrorCode, message: RegExp) => (error: unknown) =>
  error instanceof DialtoneError && error.code === code && message.test(error.message)
const view = (cloud: Cloud) =>
  handlersOf(cloud).getService({ params: { service: 'shop' }, query: undefined, body: undefined }, ann, scope)

describe('a service that is applied', () => {
  test('is up: its machines were made in the order in which they are needed, each serving before the next', async () => {
    await using cloud = await open()
    const { task } = await apply(cloud, shop)
    assert.equal(await end(cloud, task?.id ?? ''), 'succeeded')
    assert.deepEqual(names(cloud), ['shop-db-1', 'shop-web-1', 'shop-web-2'])
    assert.equal((await view(cloud)).health, 'up')
    const events = await cloud.events()
    const of = (event: string) => events.indexOf(event)
    assert.ok(of('vm.running shop-db-1') < of('vm.asked-for shop-web-1'), events.join('\n'))
  })

  test('again is left as it is; what changed is changed, and only what is said is deleted', async () => {
    await using cloud = await open()
    await end(cloud, (await apply(cloud, shop)).task?.id ?? '')
    const again = await apply(cloud, shop)
    assert.deepEqual(again.plan.steps, [])
    await end(cloud, again.task?.id ?? '')
    const fewer = { web: { ...tiny, replicas: 1, drillable: true } }
    assert.equal((await apply(cloud, fewer, { dryRun: true })).task, null)
    await end(cloud, (await apply(cloud, fewer)).task?.id ?? '')
    assert.deepEqual(names(cloud), ['shop-db-1', 'shop-web-1'])
    const web = [...cloud.state().vms.values()].find(({ spec }) => spec.name === 'shop-web-1')
    assert.equal(web?.spec.drillable, true)
    await end(cloud, (await apply(cloud, fewer, { prune: true })).task?.id ?? '')
    assert.deepEqual(names(cloud), ['shop-web-1'])
  })

  test('goes on where it was when the controller dies in the middle, and makes nothing twice', async () => {
    await using cloud = await open()
    const { task } = await apply(cloud, shop)
    await cloud.clock.until('a machine is made', () => cloud.state().vms.size === 1, 10_000)
    await cloud.clock.advance(40)
    cloud.crash()
    await cloud.clock.advance(300)
    await cloud.startEngine()
    assert.equal(await end(cloud, task?.id ?? ''), 'succeeded')
    assert.deepEqual(names(cloud), ['shop-db-1', 'shop-web-1', 'shop-web-2'])
  })

  test('twice at once is refused, and so is what the cluster does not have', async () => {
    await using cloud = await open()
    await apply(cloud, shop)
    await assert.rejects(apply(cloud, shop), isRefused('in-use', /is being applied \(task-/))
    await assert.rejects(
      apply(cloud, { db: { template: 'gone' } }),
      isRefused('invalid-input', /components\.db\.template: there is no built template gone/),
    )
  })

  test('is scaled by component, and deleted with all that belongs to it', async () => {
    await using cloud = await open()
    await end(cloud, (await apply(cloud, shop)).task?.id ?? '')
    const scale = { params: { service: 'shop' }, query: undefined, body: { replicas: { web: 3 } } }
    const { task } = await during(cloud, handlersOf(cloud).scaleService(scale, ann, scope))
    assert.equal(await end(cloud, task?.id ?? ''), 'succeeded')
    assert.equal(names(cloud).length, 4)
    const given = { params: { service: 'shop' }, query: undefined, body: undefined }
    const deletion = await during(cloud, handlersOf(cloud).deleteService(given, ann, scope))
    assert.equal(await end(cloud, deletion.task.id), 'succeeded')
    assert.deepEqual(await cloud.leftovers(), [])
    assert.deepEqual((await cloud.store.range('service/')).entries, [])
  })
})
