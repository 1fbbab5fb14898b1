import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choiceOption, nicOption } from './option-parsers.ts'

test('networks add up in the order in which they are named, each with an address or without', () => {
  const cards = nicOption('dev,address=10.5.0.9', nicOption('flat'))
  assert.deepEqual(cards, [{ network: 'flat' }, { network: 'dev', address: '10.5.0.9' }])
})

test('what is no network, and what is none of the choices, is refused with an example or the choices', () => {
  for (const text of ['', 'dev,', 'dev,10.5.0.9', 'dev,mac=1'])
    assert.throws(() => nicOption(text), /is written like dev/)
  assert.equal(choiceOption(['none', 'nat'])('nat'), 'nat')
  assert.throws(() => choiceOption(['none', 'nat'])('net'), /one of none, nat/)
})
