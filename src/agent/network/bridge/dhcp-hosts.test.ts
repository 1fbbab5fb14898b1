import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failsWith } from '../network.contract.ts'
import {
  dhcpEntrySchema,
  needsNewServer,
  noDhcpHosts,
  parseDhcpHosts,
  renderDhcpHosts,
  withEntry,
  withoutMachine,
} from './dhcp-hosts.ts'

const web = dhcpEntrySchema.parse({
  vmId: 'vm-aaaaaaaa',
  macAddress: '52:54:00:00:00:01',
  address: '10.90.0.11',
  hostName: 'web',
})
const shop = {
  ...web,
  vmId: dhcpEntrySchema.shape.vmId.parse('vm-bbbbbbbb'),
  macAddress: '52:54:00:00:00:02',
  hostName: 'shop',
}

test('the file says the same when it is read back', () => {
  const hosts = withEntry(withoutMachine(withEntry(noDhcpHosts, web), web), { ...shop, address: '10.90.0.12' })
  const text = renderDhcpHosts(hosts)
  assert.equal(text, '# retired 10.90.0.11 52:54:00:00:00:01\n52:54:00:00:00:02,10.90.0.12,shop # vm-bbbbbbbb\n')
  assert.deepEqual(parseDhcpHosts(text), hosts)
})

test('damaged lines are left out', () => {
  assert.deepEqual(parseDhcpHosts('52:54:00,10.90.0.11,web # vm-aaaaaaaa\nnoise\n'), noDhcpHosts)
})

test('an address that goes to another MAC needs a server that has forgotten the old lease', () => {
  const left = withoutMachine(withEntry(noDhcpHosts, web), web)
  assert.equal(needsNewServer(left), false)
  assert.equal(needsNewServer(withEntry(left, web)), false)
  assert.equal(needsNewServer(withEntry(left, shop)), true)
})

test('an address or a MAC of another machine on this host is refused', () => {
  const hosts = withEntry(noDhcpHosts, web)
  assert.throws(() => withEntry(hosts, shop), failsWith('address-taken', /10\.90\.0\.11 of shop belongs to web/))
  const sameMac = { ...shop, address: '10.90.0.12', macAddress: web.macAddress }
  assert.throws(() => withEntry(hosts, sameMac), failsWith('address-taken'))
})
