import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeCluster, makeHost, makeVm, type VmChanges } from '../../model/cluster-state.fixture.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { noPlacementRules, type PlacementRule, type PlacementRules } from '../../model/placement-rules.ts'
import { vmSpecSchema } from '../../model/vm.ts'
import { placeVm } from '../place-vm.ts'
import { brokenRules } from './judge-rules.ts'

const web = { key: 'app', value: 'web' }
const north = { key: 'zone', value: 'north' }
const hosts = [
  makeHost('ada', { spec: { labels: { zone: 'north' } } }),
  makeHost('bob', { spec: { labels: { zone: 'south' } } }),
  makeHost('cyd', { spec: { labels: { zone: 'south' } } }),
]

function ruled(name: string, rules: Partial<PlacementRules>, changes: VmChanges = {}): VmRecord {
  return makeVm(name, { ...changes, spec: { ...changes.spec, placementRules: { ...noPlacementRules, ...rules } } })
}
const labelled = (name: string, on?: string, changes: VmChanges = {}) =>
  ruled(name, { labels: { app: 'web' } }, { ...changes, ...(on === undefined ? {} : { on }) })

/** Names of the hosts that fit, and what the others say. */
function ask(vm: VmRecord, vms: readonly VmRecord[] = []) {
  const { verdicts } = placeVm(makeCluster({ hosts, vms }), vm.spec)
  const fit = verdicts.filter(({ fits }) => fits).map(({ hostName }) => hostName)
  const says = Object.fromEntries(verdicts.map(({ hostName, reason }) => [hostName, reason]))
  return { fit, says }
}
function chosen(vm: VmRecord, vms: readonly VmRecord[] = []) {
  const choice = placeVm(makeCluster({ hosts, vms }), vm.spec)
  return choice.kind === 'placed' ? choice.hostId.slice(5, 8) : 'nowhere'
}
const rule = (kind: PlacementRule['kind'], strength: PlacementRule['strength'] = 'required'): PlacementRule =>
  kind === 'near-machines' || kind === 'apart-from-machines'
    ? { kind, label: web, strength }
    : { kind, hosts: { label: north }, strength }

describe('a required rule', () => {
  test('about hosts leaves those that it names, by label or by name, and the others say why not', () => {
    const { fit, says } = ask(ruled('new', { rules: [rule('on-hosts')] }))
    assert.deepEqual(fit, ['ada'])
    assert.equal(says['bob'], 'it has to be on hosts with zone=north')
    assert.deepEqual(ask(ruled('new', { rules: [rule('not-on-hosts')] })).fit, ['bob', 'cyd'])
    const onBob: PlacementRule = { kind: 'on-hosts', hosts: { host: 'bob' }, strength: 'required' }
    assert.deepEqual(ask(ruled('new', { rules: [onBob] })).fit, ['bob'])
  })

  test('about machines keeps apart from them or near them', () => {
    const others = [labelled('web1', 'ada')]
    const apart = ask(ruled('new', { rules: [rule('apart-from-machines')] }), others)
    assert.deepEqual(apart.fit, ['bob', 'cyd'])
    assert.match(apart.says['ada'] ?? '', /^web1 runs there, and it has to be apart from machines with app=web/)
    const near = ask(ruled('new', { rules: [rule('near-machines')] }), others)
    assert.deepEqual(near.fit, ['ada'])
    assert.match(near.says['cyd'] ?? '', /no machine with app=web runs there/)
  })

  test('to be near machines of which none runs is no obstacle: the first has to begin somewhere', () => {
    const near = ruled('new', { rules: [rule('near-machines')] })
    assert.equal(ask(near).fit.length, 3)
    assert.equal(ask(near, [labelled('web1')]).fit.length, 3)
  })

  test('to be apart holds for the one that comes later, too, though it has no rule itself', () => {
    const loner = ruled('loner', { rules: [rule('apart-from-machines')] }, { on: 'ada' })
    const { fit, says } = ask(labelled('new'), [loner])
    assert.deepEqual(fit, ['bob', 'cyd'])
    assert.equal(says['ada'], 'loner, which runs there, has to be apart from it')
  })

  test('never counts the machine itself, nor one that has stopped', () => {
    const rules = { labels: { app: 'web' }, rules: [rule('apart-from-machines')] }
    const self = ruled('web1', rules, { on: 'ada' })
    const stopped = labelled('web2', 'bob', { spec: { desired: 'stopped' }, status: { state: 'stopped' } })
    assert.deepEqual(ask(self, [self, stopped]).fit, ['ada', 'bob', 'cyd'])
  })
})

describe('a preference', () => {
  test('decides between hosts that fit, and hinders none', () => {
    const crowd = ['one', 'two', 'three'].map((name) => makeVm(name, { on: 'ada' }))
    const vm = ruled('new', { rules: [rule('on-hosts', 'preferred')] })
    assert.equal(chosen(vm, crowd), 'ada')
    assert.equal(ask(vm, crowd).fit.length, 3)
    assert.match(ask(vm, crowd).says['ada'] ?? '', /prefers hosts with zone=north/)
  })

  test('to spread takes the host, or the zone, with the fewest companions', () => {
    const companions = [labelled('web1', 'bob'), labelled('web2', 'cyd')]
    const crowd = ['one', 'two', 'three'].map((name) => makeVm(name, { on: 'ada' }))
    assert.equal(chosen(ruled('new', { spread: { label: web, over: null } }), [...companions, ...crowd]), 'ada')
    const zoned = ruled('new', { spread: { label: web, over: 'zone' } })
    assert.equal(chosen(zoned, [labelled('web1', 'bob'), ...crowd]), 'ada', 'cyd is in the zone of bob')
  })
})

test('a rule that a machine breaks where it runs is told', () => {
  const vm = ruled('web1', { rules: [rule('not-on-hosts'), rule('apart-from-machines', 'preferred')] }, { on: 'ada' })
  const cluster = makeCluster({ hosts, vms: [vm, labelled('web2', 'ada')] })
  assert.deepEqual(brokenRules(vm, cluster), ['it must not be on hosts with zone=north'])
})

test('machines that were stored before there were rules have none', () => {
  const { placementRules: _none, ...old } = makeVm('web').spec
  assert.deepEqual(vmSpecSchema.parse(old).placementRules, noPlacementRules)
})
