import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkOf } from '../network.contract.ts'
import { forwardingCommands, linkCommands, linksSchema, unwantedNumbers } from './segment-plan.ts'

const network = { ...networkOf(5), peers: ['10.1.1.2', '10.1.1.3'] }
const port = (ifname: string, kind: string, data: object) => ({
  ifname,
  mtu: 1400,
  master: 'dtn5',
  flags: ['UP'],
  linkinfo: { info_kind: kind, info_data: data, info_slave_data: { isolated: true } },
})
const asPlanned = linksSchema.parse([
  { ifname: 'dtn5', mtu: 1400, flags: ['UP'] },
  port('dtx5', 'vxlan', { id: 1005, local: '10.90.1.1' }),
])

test('a network that is as planned is left alone, and of one that is not only what differs is mended', () => {
  assert.deepEqual(linkCommands(network, asPlanned), [])
  const fresh = linkCommands(network, [])
  assert.match(
    fresh.join('\n'),
    /add dev dtn5 .*bridge[^]*add dev dtx5 .*vxlan id 1005 local 10\.90\.1\.1 .*nolearning/,
  )
  assert.match(fresh.at(-1) ?? '', /dtx5 type bridge_slave isolated on/)
  const otherHost = { ...network, localAddress: '10.90.1.2' }
  const [gone, made] = linkCommands(otherHost, asPlanned)
  assert.equal(gone, 'link del dev dtx5')
  assert.match(made ?? '', /local 10\.90\.1\.2/)
  const open = linksSchema.parse([
    asPlanned[0],
    { ...asPlanned[1], linkinfo: { ...asPlanned[1]?.linkinfo, info_slave_data: {} } },
  ])
  assert.deepEqual(linkCommands(network, open), ['link set dev dtx5 type bridge_slave isolated on'])
})

test('the forwarding table becomes the planned one by what is missing and what is too much', () => {
  const forwarding = [{ macAddress: '52:00:01:00:00:03', hostAddress: '10.1.1.3' }]
  const present = [
    { mac: 'ca:15:db:20:a5:88', state: 'permanent' },
    { mac: '00:00:00:00:00:00', dst: '10.1.1.2' },
    { mac: '00:00:00:00:00:00', dst: '10.1.1.9' },
    { mac: '52:00:01:00:00:03', dst: '10.1.1.2' },
  ]
  assert.deepEqual(forwardingCommands({ ...network, forwarding }, present), [
    'fdb del 00:00:00:00:00:00 dev dtx5 dst 10.1.1.9',
    'fdb del 52:00:01:00:00:03 dev dtx5 dst 10.1.1.2',
    'fdb append 00:00:00:00:00:00 dev dtx5 dst 10.1.1.3',
    'fdb append 52:00:01:00:00:03 dev dtx5 dst 10.1.1.3 self static',
  ])
})

test('what is not planned goes, but for a network that still has a machine, and never what is not ours', () => {
  const links = linksSchema.parse([
    { ifname: 'br0' },
    { ifname: 'dtx-web' },
    { ifname: 'dtn5' },
    { ifname: 'dtx6', master: 'dtn6' },
    { ifname: 'dtn7' },
    { ifname: 'dt12', master: 'dtn7' },
  ])
  assert.deepEqual(unwantedNumbers(links, new Set([5])), [6])
})
