import assert from 'node:assert/strict'
import { test } from 'node:test'
import { metadataAddress } from '../../../model/cloud-init.ts'
import { numberOfMetadata } from '../../../model/network.ts'
import { askingAddress, uplinkHostAddress, uplinkRouterAddress } from './segment-names.ts'

test('of all numbers only the one that no network gets would have the address at which machines ask who they are', () => {
  const numbers = Array.from({ length: 16_383 }, (_one, index) => index + 1)
  const reserved = new Set([metadataAddress, uplinkHostAddress])
  const clashing = numbers.filter(
    (number) => reserved.has(askingAddress(number)) || reserved.has(uplinkRouterAddress(number)),
  )
  assert.deepEqual(clashing, [numberOfMetadata])
  const all = numbers.flatMap((number) => [askingAddress(number), uplinkRouterAddress(number)])
  assert.equal(new Set(all).size, all.length)
})
