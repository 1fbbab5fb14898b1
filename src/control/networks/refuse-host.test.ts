import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostIdOf, makeCluster, makeHost, makeVm } from '../../model/cluster-state.fixture.ts'
import { makeNetwork } from '../../model/network.fixture.ts'
import { placeVm } from '../place-vm.ts'
import { assignNics } from './assign-nics.ts'

const dev = makeNetwork('dev', 1)
const office = makeNetwork('office', 2, { segment: { kind: 'vlan', vlanId: 7, interface: 'eth1' } })
const networks = [dev, office]
const lack = 'its kernel has no VLANs (CONFIG_VLAN_8021Q)'
const hosts = [makeHost('ada', { status: { networkFaults: { vlan: lack } } }), makeHost('bob')]

function machineIn(...names: readonly [string, ...string[]]) {
  const [first, ...more] = names.map((network) => ({ network }))
  assert(first !== undefined)
  const nics = assignNics(makeCluster({ networks }), [first, ...more])
  assert(!('kind' in nics))
  return makeVm('web', { spec: { nics: [...nics], address: nics[0].address } }).spec
}

test('a machine goes only where its networks can be; other hosts say which one can’t, and why', () => {
  const cluster = makeCluster({ hosts, networks })
  const choice = placeVm(cluster, machineIn('flat', 'office'))
  assert.equal(choice.kind === 'placed' ? choice.hostId : undefined, hostIdOf('bob'))
  const refused = choice.verdicts.find(({ hostName }) => hostName === 'ada')
  assert.equal(refused?.reason, `the machine's network office can't be there: ${lack}`)
  const nowhere = placeVm(makeCluster({ hosts: hosts.slice(0, 1), networks }), machineIn('office'))
  assert.equal(nowhere.kind, 'no-host-fits')
})

test('what a machine has no card in keeps it from nowhere', () => {
  const choice = placeVm(makeCluster({ hosts, networks }), machineIn('dev'))
  assert.deepEqual(
    choice.verdicts.map(({ fits }) => fits),
    [true, true],
  )
})
