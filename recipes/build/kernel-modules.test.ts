import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withoutSignature, withoutTypeTable } from './kernel-modules.ts'

test('an appended signature is cut off, and nothing else', () => {
  const module = Buffer.from('the module')
  const signature = Buffer.from('signature bytes')
  const trailer = Buffer.alloc(12)
  trailer.writeUInt32BE(signature.length, 8)
  const signed = Buffer.concat([module, signature, trailer, Buffer.from('~Module signature appended~\n')])
  assert.deepEqual(withoutSignature(signed), module)
  assert.deepEqual(withoutSignature(module), module)
})

test('the table of types loses its name, the names around it stay', () => {
  const names = Buffer.from('\0.text\0.BTF\0.BTF_ids\0', 'latin1')
  const module = Buffer.alloc(64 + 64 + names.length)
  module.writeBigUInt64LE(64n, 40)
  module.writeUInt16LE(64, 58)
  module.writeUInt16LE(0, 62)
  module.writeBigUInt64LE(128n, 64 + 24)
  module.writeBigUInt64LE(BigInt(names.length), 64 + 32)
  names.copy(module, 128)
  const changed = withoutTypeTable(module)
  assert.equal(changed.toString('latin1', 128), '\0.text\0.xxx\0.BTF_ids\0')
  assert.deepEqual(changed.subarray(0, 128), module.subarray(0, 128))
})
