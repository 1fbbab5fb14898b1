/**
 * The processor a machine is pinned to: a named, versioned base without vendor, and a list of what is switched on, so that the machine
 * runs unchanged on any host that has these, Intel or AMD. `host` and `max` change with the host and with QEMU's version.
 */
import type { Accelerator } from '../../../model/hardware.ts'

type Level = {
  /** As the kernel names them in /proc/cpuinfo. */
  readonly hostFlags: readonly string[]
  readonly model: string
}

/**
 * The x86-64 levels 3 and 2 (with AES), the best first. AES never without PCLMULQDQ, as no processor has it: Linux's driver for the one uses
 * the other unasked, and under emulation dies of it.
 */
const levels: readonly Level[] = [
  {
    hostFlags: [
      'ssse3',
      'sse4_1',
      'sse4_2',
      'popcnt',
      'aes',
      'pclmulqdq',
      'avx',
      'avx2',
      'bmi1',
      'bmi2',
      'f16c',
      'fma',
      'abm',
      'movbe',
      'xsave',
      'rdrand',
    ],
    model:
      'qemu64-v1,+pni,+cx16,+lahf-lm,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq,+avx,+avx2,+bmi1,+bmi2,+f16c,+fma,+abm,+movbe,+xsave,+rdrand',
  },
  {
    hostFlags: ['ssse3', 'sse4_1', 'sse4_2', 'popcnt', 'aes', 'pclmulqdq'],
    model: 'qemu64-v1,+pni,+cx16,+lahf-lm,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq',
  },
]
const oldestModel = 'qemu64-v1'

/** `hostFlags` (/proc/cpuinfo) matter under KVM only. */
export function chooseCpuModel(accelerator: Accelerator, hostFlags: ReadonlySet<string>): string {
  if (accelerator === 'tcg') return tcgModel
  return levels.find((level) => level.hostFlags.every((flag) => hostFlags.has(flag)))?.model ?? oldestModel
}

/**
 * Level 2 and a random number instruction: all of it is emulated without a warning, and the tiny guest boots with a quarter less CPU time
 * than on the bare base. With the vectors of level 3 its kernel spins under QEMU 7.2; `max` is no faster and not the same everywhere.
 */
const tcgModel = 'qemu64-v1,+pni,+cx16,+lahf-lm,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq,+rdrand'
