/** Versions of templates over the API, on a cloud of fake hosts; their folders are real. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { VmWish } from '../../control/admit-vm.ts'
import { type Cloud, startCloud } from '../../engine/cloud.fixture.ts'
import { put } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import { tinyTemplate } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { templateIdSchema } from '../../model/ids.ts'
import { enterVm } from '../clones/enter-vm.ts'
import { deletedVersions } from './deleted-versions.ts'
import { templateHandlers } from './template-handlers.ts'

const ann = { name: 'ann', role: 'administrator' } as const
const scope = { signal: new AbortController().signal, after: undefined }
const wish: VmWish = {
  ...{ name: 'shopper', template: 'shop', disks: [], ha: false, autostart: false, startOrder: 1, start: false },
  ...{ extraCommandLine: '', recovery: { mode: 'boot' }, drillable: false },
}

async function open(t: TestContext, cloud: Cloud) {
  const templates = await mkdtemp(join(tmpdir(), 'dialtone-templates-'))
  t.after(() => rm(templates, { recursive: true, force: true }))
  const agents = { ...cloud.agents.port, client: () => assert.fail('no stream'), close: async () => undefined }
  const places = { templates, isos: '', uploads: '' }
  const handlers = templateHandlers({ engine: cloud.engine(), agents, places })
  const enter = async (number: number, origin: 'machine' | 'recipe' = 'machine') => {
    const version = `shop-${number}`
    const directory = join(templates, version)
    await mkdir(directory)
    const id = templateIdSchema.parse(`tpl-aaaaaaa${number}`)
    const builtAt = `2026-03-0${number}T12:00:00.000Z`
    const template = { ...tinyTemplate, id, name: 'shop', version, builtAt, directory, origin }
    await cloud.store.commit({ conditions: [], writes: [put(keys.template(id), template)] })
    await cloud.clock.advance(0)
  }
  const remove = (template: string) =>
    handlers.deleteTemplate({ params: { template }, query: undefined, body: undefined }, ann, scope)
  const show = (template: string) =>
    handlers.getTemplate({ params: { template }, query: undefined, body: undefined }, ann, scope)
  return { templates, enter, remove, show }
}

test('a version that machines were made from is not deleted; another one is, and its name is never given again', async (t) => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  const { templates, enter, remove, show } = await open(t, cloud)
  for (const number of [1, 2]) await enter(number)
  await enter(3, 'recipe')
  const { leader, tasks } = cloud.engine()
  await enterVm({ leader, tasks }, { ...wish, template: 'shop-1' }, 'ann')
  assert.deepEqual((await show('shop')).versions, ['shop-3', 'shop-2', 'shop-1'])
  assert.deepEqual((await show('shop-1')).vmNames, ['shopper'])
  await assert.rejects(async () => remove('shop-1'), { code: 'in-use', message: /shopper/ })
  await assert.rejects(async () => remove('shop'), { code: 'invalid-input', message: /say which one/ })
  for (const number of [2, 3]) await remove(`shop-${number}`)
  // What a recipe has built lies there for whoever asks for it again.
  assert.deepEqual((await readdir(templates)).toSorted(), ['shop-1', 'shop-3'])
  assert.deepEqual(await deletedVersions(leader), ['shop-2', 'shop-3'])
  assert.deepEqual((await show('shop')).versions, ['shop-1'])
})

test('a machine that is entered while its template is deleted has it, or is refused', async (t) => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  const { enter, remove } = await open(t, cloud)
  await enter(1)
  const { leader, tasks } = cloud.engine()
  const [entered, removed] = await Promise.allSettled([
    enterVm({ leader, tasks }, wish, 'ann'),
    (async () => remove('shop'))(),
  ])
  assert.notEqual(entered.status, removed.status)
  const refusal =
    entered.status === 'rejected' ? entered.reason : removed.status === 'rejected' ? removed.reason : undefined
  assert.ok(refusal instanceof DialtoneError, String(refusal))
  assert.ok(['in-use', 'template-not-built'].includes(refusal.code), refusal.code)
})
