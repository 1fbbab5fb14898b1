import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printableText } from './printable-text.ts'

test('a name cannot move the cursor, change colours or ring the bell', () => {
  assert.equal(printableText('web\x1b[2J\x07'), 'web\\x1b[2J\\x07')
  assert.equal(printableText('\u009b31m'), '\\x9b31m')
})

test('a message stays on its line and keeps its direction', () => {
  assert.equal(printableText('one\r\ntwo\tthree\u2028'), 'one\\r\\ntwo\\tthree\\u2028')
  assert.equal(printableText('safe\u202egnp.exe'), 'safe\\u202egnp.exe')
})

test('ordinary words of any language are left alone', () => {
  assert.equal(printableText('Überwachung 仮想 ✓ é'), 'Überwachung 仮想 ✓ é')
})
