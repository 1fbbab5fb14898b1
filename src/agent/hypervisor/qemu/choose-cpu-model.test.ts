import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseCpuModel } from './choose-cpu-model.ts'

const level2 = 'ssse3 sse4_1 sse4_2 popcnt aes pclmulqdq'.split(' ')
const level3 = [...level2, ...'avx avx2 bmi1 bmi2 f16c fma abm movbe xsave rdrand'.split(' ')]

test('under KVM the best level that the host has whole is chosen, and never a model of one vendor or of this host', () => {
  assert.match(chooseCpuModel('kvm', new Set(level3)), /^qemu64-v1,.*\+avx2/)
  assert.doesNotMatch(chooseCpuModel('kvm', new Set(level3.filter((flag) => flag !== 'fma'))), /avx/)
  assert.match(chooseCpuModel('kvm', new Set(level2)), /\+sse4\.2,/)
  assert.equal(chooseCpuModel('kvm', new Set(['ssse3'])), 'qemu64-v1')
})

test('under TCG the model does not depend on the host', () => {
  assert.equal(chooseCpuModel('tcg', new Set(level3)), chooseCpuModel('tcg', new Set()))
})

test('a processor with AES has PCLMULQDQ, too, as Linux takes for granted', () => {
  const models = [
    chooseCpuModel('tcg', new Set()),
    ...[level2, level3].map((flags) => chooseCpuModel('kvm', new Set(flags))),
  ]
  for (const model of models) assert.match(model, /\+aes,\+pclmulqdq/)
})
