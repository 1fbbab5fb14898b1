import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressFromMac, routerAddress6 } from './network-address6.ts'

test('an address is made of the prefix and the MAC, however the prefix is written', () => {
  assert.equal(addressFromMac('fd00:50::/64', '52:00:01:32:00:02'), 'fd00:50:0:0:5000:1ff:fe32:2')
  assert.equal(addressFromMac('fd00:50:0:7::/64', '52:00:01:32:00:02'), 'fd00:50:0:7:5000:1ff:fe32:2')
  assert.equal(addressFromMac('fd00:50:1:2:0:0:0:0/64', '52:54:0a:00:00:0a'), 'fd00:50:1:2:5054:aff:fe00:a')
  assert.equal(routerAddress6('fd00:50:0:7::/64'), 'fd00:50:0:7:0:0:0:1')
})
