/**
 * The controller loses all that it knew while machines run: they run on, introduce themselves through their hosts, and are entered anew from
 * what lies beside their disks. Nothing is started, and nothing that runs is touched.
 */
import assert from 'node:assert/strict'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { VmView } from '../src/model/api/views.ts'
import type { RebuildView } from '../src/model/rebuild/rebuild-plan.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'

let laboratory: OpenLaboratory

before(async () => {
  laboratory = await openLaboratory('e2e-rebuild', ['--hosts', '2', '--post-delay', '300'])
})
after(() => laboratory?.[Symbol.asyncDispose]())

test('a laboratory whose state is deleted while its machines run is rebuilt from its disks, and no machine notices', async () => {
  await makeMachines()
  const [web, pair] = [await look('web'), await look('pair')]
  const bootOfWeb = await laboratory.inGuest('web', 'cat /proc/sys/kernel/random/boot_id')
  await untilManifestsTell()
  await loseTheState()

  const plan = await untilFound()
  assert.deepEqual(plan.answered.toSorted(), ['h1', 'h2'])
  assert.deepEqual(entering(plan, 'host'), ['h1', 'h2'])
  assert.deepEqual(entering(plan, 'vm'), ['old', 'pair', 'web'])
  assert.deepEqual(entering(plan, 'network'), ['side'])
  assert.deepEqual(entering(plan, 'snapshot'), ['old/begin'])
  assert.match(detailOf(plan, 'web'), /^runs on h[12], and is left to run there$/)
  assert.match(detailOf(plan, 'old'), /^is stopped on h[12], and stays so$/)
  assert.deepEqual((await laboratory.api.call('listVms', {})).vms, [], 'a plan enters nothing')

  const answer = await laboratory.api.call('rebuild', {})
  assert.deepEqual(answer.refused, [])
  for (const before of [web, pair]) {
    const { status, hostName } = await untilState(before.name, 'running')
    assert.deepEqual([status.pid, hostName], [before.status.pid, before.hostName])
  }
  assert.equal(await laboratory.inGuest('web', 'cat /proc/sys/kernel/random/boot_id'), bootOfWeb)
  await untilState('old', 'stopped')
  const again = await laboratory.api.call('rebuild', {})
  assert.deepEqual(again.entered, [], 'doing it again enters nothing')

  await task('startVm', 'old')
  assert.equal(await laboratory.inGuest('old', 'cat /data/mark'), 'later')
  const { task: reverting } = await laboratory.api.call('revertVm', {
    params: { vm: 'old' },
    body: { snapshot: 'begin' },
  })
  await laboratory.untilTaskEnds(reverting.id)
  assert.equal(await laboratory.inGuest('old', 'cat /data/mark'), 'before')
  assert.deepEqual((await laboratory.api.call('doctor', {})).findings, [])
})

/** One with HA that runs, one that is stopped and has a snapshot, one with two disks in a network of its own. */
async function makeMachines(): Promise<void> {
  await laboratory.api.call('createNetwork', { body: { name: 'side', subnet: '10.61.0.0/24' } })
  const pair = { name: 'pair', template: 'tiny', disks: [{ sizeMiB: 64 }], networks: [{ network: 'side' }] }
  const { task: making } = await laboratory.api.call('createVm', { body: { ...pair, start: true } })
  await Promise.all([laboratory.deploy('web', { ha: true }), laboratory.deploy('old')])
  await laboratory.inGuest('old', 'echo before > /data/mark; sync')
  const taking = { params: { vm: 'old' }, body: { name: 'begin', kind: 'disk' } } as const
  await laboratory.untilTaskEnds((await laboratory.api.call('createSnapshot', taking)).task.id)
  await laboratory.inGuest('old', 'echo later > /data/mark; sync')
  await task('stopVm', 'old')
  await laboratory.untilTaskEnds(making.id)
}

/** Beside every disk, of what its machine is now. */
async function untilManifestsTell(): Promise<void> {
  for (const name of ['web', 'pair', 'old']) {
    const { id, disks } = await look(name)
    for (const { volumeId } of disks)
      await until(`the manifest of ${name} is there`, async () => {
        const folder = join(laboratory.folder, 'shared', 'volumes', volumeId)
        const [file] = (await readdir(folder)).filter((one) => one.startsWith('machine-'))
        if (file === undefined) return false
        const manifest = JSON.parse(await readFile(join(folder, file), 'utf8'))
        return manifest.vm.id === id && manifest.vm.desired === (name === 'old' ? 'stopped' : 'running')
      })
  }
}

/** All but the cluster's authority, which is no part of it. */
async function loseTheState(): Promise<void> {
  await laboratory.lab(['controller', 'stop'])
  const folder = join(laboratory.folder, 'controller')
  for (const file of await readdir(folder))
    if (file.startsWith('state.sqlite')) await rm(join(folder, file), { recursive: true })
  await laboratory.lab(['controller', 'start'])
}

async function untilFound(): Promise<RebuildView> {
  let plan: RebuildView | undefined
  await until('both hosts have introduced themselves', async () => {
    plan = await laboratory.api.call('planRebuild', {}, { timeoutMs: 5_000 }).catch(() => undefined)
    return plan?.answered.length === 2
  })
  return plan ?? assert.fail()
}

async function untilState(vm: string, state: VmView['status']['state']): Promise<VmView> {
  await until(`${vm} is ${state}`, async () => (await look(vm)).status.state === state)
  return look(vm)
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const givesUpAtMs = performance.now() + 30_000
  while (!(await isSo())) {
    assert(performance.now() < givesUpAtMs, what)
    await delay(100)
  }
}

async function task(verb: 'startVm' | 'stopVm', vm: string): Promise<void> {
  await laboratory.untilTaskEnds((await laboratory.api.call(verb, { params: { vm } })).task.id)
}

const look = (vm: string) => laboratory.api.call('getVm', { params: { vm } })

function entering({ items }: RebuildView, noun: string): readonly string[] {
  return items
    .filter((item) => item.noun === noun && item.action === 'enter')
    .map(({ name }) => name)
    .toSorted()
}

function detailOf({ items }: RebuildView, vm: string): string {
  return items.find(({ noun, name }) => noun === 'vm' && name === vm)?.detail ?? ''
}
