/** The shop of examples/ on real machines: applied, broken in a way that its machines do not cure by themselves, restarted by cell, deleted. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { parseServiceFile } from '../../src/cli/services/read-service-file.ts'
import type { ServiceView } from '../../src/model/api/service-routes.ts'
import { type OpenLaboratory, openLaboratory } from '../open-laboratory.ts'

const path = join(import.meta.dirname, '../../examples/shop/shop.yaml')
let laboratory: OpenLaboratory
before(async () => {
  laboratory = await openLaboratory('e2e-services', ['--hosts', '2'])
  const body = { name: 'shop-net', subnet: '10.60.0.0/24', uplink: 'none' as const }
  await laboratory.api.call('createNetwork', { body })
})
after(() => laboratory[Symbol.asyncDispose]())

const look = () => laboratory.api.call('getService', { params: { service: 'shop' } })
const machine = (name: string) => laboratory.api.call('getVm', { params: { vm: name } })
const bystanders = ['shop-database-1', 'shop-web-1', 'shop-web-2']
const lifeOf = async (name: string) => {
  const { status } = await machine(name)
  return [name, status.epoch, status.incarnation, status.pid]
}

async function until(what: string, isSo: (view: ServiceView) => boolean): Promise<ServiceView> {
  for (const givesUpAtMs = performance.now() + 60_000; ; await delay(50)) {
    const view = await look()
    if (isSo(view)) return view
    if (performance.now() > givesUpAtMs) throw new Error(`${what} did not come true: ${JSON.stringify(view)}`)
  }
}

test('a service is applied, its failing cell is restarted and nothing else, and nothing of it is left in the end', async () => {
  const { file } = parseServiceFile(await readFile(path, 'utf8'), path)
  const { plan, task } = await laboratory.api.call('applyService', { body: { file } })
  assert.equal(plan.steps.length, 5)
  assert(task)
  await laboratory.untilTaskEnds(task.id)
  assert.equal((await look()).health, 'up')
  assert.deepEqual((await laboratory.api.call('applyService', { body: { file, dryRun: true } })).plan.steps, [])

  // The cache accepts connections and gives wrong answers: only the worker sees it, and cannot cure it by itself.
  const before = await Promise.all(bystanders.map(lifeOf))
  await laboratory.inGuest(
    'shop-cache-1',
    String.raw`printf 'POST /fail?kind=wrong HTTP/1.0\r\n\r\n' | /bin/busybox nc -w 2 127.0.0.1 80`,
  )
  const cured = await until('the restart of a cell cures it', ({ restarts }) => restarts[0]?.isCured === true)
  assert.deepEqual(cured.restarts.map(({ cell, components }) => [cell, components]).at(0), [
    'background',
    ['cache', 'worker'],
  ])
  await until('it is up again', ({ health }) => health === 'up')
  assert.deepEqual(await Promise.all(bystanders.map(lifeOf)), before, 'a healthy neighbour was disturbed')

  const { entries } = await laboratory.api.call('listLedgerEntries', { params: { service: 'shop-cache-1' } })
  const told = entries.flatMap(({ record }) => (record.kind === 'cell-restart' ? [record] : []))
  assert.deepEqual(
    told.map(({ cell, isWithIt }) => [cell, isWithIt]),
    [['background', true]],
  )
  assert.match(told[0]?.reason ?? '', /^worker failed for \d+ ms; .* a restart of cache, worker cures with/)

  const { task: deletion } = await laboratory.api.call('deleteService', { params: { service: 'shop' } })
  await laboratory.untilTaskEnds(deletion.id)
  assert.deepEqual((await laboratory.api.call('listVms', {})).vms, [])
  assert.deepEqual((await laboratory.api.call('listServices', {})).services, [])
  // Memory images of machines that are gone stay in their host's cache until the room is needed: untidy, and nothing to be done.
  const { findings } = await laboratory.api.call('doctor', {}, { timeoutMs: 30_000 })
  assert.deepEqual(
    findings.filter(({ severity }) => severity !== 'untidy'),
    [],
  )
})
