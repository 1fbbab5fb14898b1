import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseSubnet, hardwareAddressFor, hostAddress, rangeOf } from './choose-subnet.ts'

test('a name always gives the same subnet, inside 10.64.0.0/10', () => {
  const addresses = chooseSubnet('lab', [])
  assert.deepEqual(addresses, chooseSubnet('lab', []))
  const pool = rangeOf('10.64.0.0/10')
  const { first, last } = rangeOf(addresses?.subnet ?? '')
  assert.ok(first >= pool.first && last <= pool.last)
  assert.equal(last - first, 1023)
})

test('a subnet of which anything is in use is passed over', () => {
  const wanted = chooseSubnet('lab', [])?.subnet ?? ''
  const { first, last } = rangeOf(wanted)
  for (const used of [
    { first, last: first },
    { first: last, last: last + 10 },
    { first: first - 5, last: last + 5 },
  ]) {
    const other = rangeOf(chooseSubnet('lab', [used])?.subnet ?? '')
    assert.ok(other.first > used.last || other.last < used.first)
  }
  const neighbour = chooseSubnet('lab', [{ first: last + 1, last: last + 1024 }])
  assert.equal(neighbour?.subnet, wanted)
})

test('when everything is in use there is no subnet', () => {
  assert.equal(chooseSubnet('lab', [rangeOf('10.0.0.0/8')]), undefined)
})

test('gateway, hosts and machines have addresses that do not meet', () => {
  const addresses = chooseSubnet('lab', [])
  const { first } = rangeOf(addresses?.subnet ?? '')
  assert.equal(rangeOf(addresses?.gateway ?? '').first, first + 1)
  assert.equal(rangeOf(hostAddress(addresses?.subnet ?? '', 1)).first, first + 11)
  assert.equal(rangeOf(addresses?.vmAddresses.from ?? '').first, first + 257)
  assert.equal(rangeOf(addresses?.vmAddresses.to ?? '').first, first + 1022)
})

test('a hardware address follows from the address and is locally administered', () => {
  assert.equal(hardwareAddressFor('10.64.0.11'), '02:d7:0a:40:00:0b')
})
