import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PinnedHardware } from '../../model/hardware.ts'
import { refuseCpu } from './judge-cpu.ts'

const pinned = (cpuModel: string, accelerator: PinnedHardware['accelerator'] = 'kvm'): PinnedHardware => ({
  machineType: 'pc-q35-7.2',
  cpuModel,
  accelerator,
  qemuVersion: '7.2.22',
})

test('a processor runs what is pinned to its own model, or to less of the same base', () => {
  const offered = { cpuModel: 'qemu64-v1,+aes,+avx2' }
  assert.equal(refuseCpu(offered, pinned('qemu64-v1,+aes,+avx2')), undefined)
  assert.equal(refuseCpu(offered, pinned('qemu64-v1,+aes')), undefined)
})

test('what it lacks is named', () => {
  const offered = { cpuModel: 'qemu64-v1,+aes' }
  assert.equal(refuseCpu(offered, pinned('qemu64-v1,+aes,+avx,+avx2')), 'its CPU lacks avx, avx2')
  assert.equal(refuseCpu(offered, pinned('EPYC-v4')), 'its CPU model is qemu64-v1, the machine is pinned to EPYC-v4')
  assert.match(refuseCpu({ cpuModel: null }, pinned('qemu64-v1')) ?? '', /not told/)
})

test('an emulated processor is everywhere', () => {
  assert.equal(refuseCpu({ cpuModel: 'qemu64-v1' }, pinned('max', 'tcg')), undefined)
})
