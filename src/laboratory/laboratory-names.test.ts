import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  fabricNamespaceOf,
  hostNamespaceOf,
  interfaceOf,
  isNamespaceOf,
  laboratoryNameSchema,
} from './laboratory-names.ts'

test('the longest allowed name still makes an interface name that the kernel takes', () => {
  assert.equal(laboratoryNameSchema.parse('abcdefghijkl').length, 12)
  assert.equal(interfaceOf('abcdefghijkl').length, 15)
})

test('names that would not do are refused', () => {
  for (const name of ['', 'Lab', '1lab', 'lab-', '-lab', 'la b', '../lab', 'abcdefghijklm']) {
    assert.equal(laboratoryNameSchema.safeParse(name).success, false, name)
  }
})

test('a laboratory owns its namespaces and not those of one whose name begins alike', () => {
  assert.ok(isNamespaceOf('a', fabricNamespaceOf('a')))
  assert.ok(isNamespaceOf('a', hostNamespaceOf('a', 'h12')))
  assert.ok(!isNamespaceOf('a', fabricNamespaceOf('a-h1')))
  assert.ok(!isNamespaceOf('a', hostNamespaceOf('a-fab', 'h1')))
  assert.ok(!isNamespaceOf('a', 'dt-a-other'))
})
