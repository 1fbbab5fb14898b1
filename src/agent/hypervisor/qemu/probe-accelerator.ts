/**
 * Which accelerator works here: that /dev/kvm opens says nothing. On some hosts (nested without hardware help) a guest runs under KVM
 * but each page table change and string instruction is emulated, so that a kernel needs minutes for what takes a blink under TCG.
 * So a guest of 400 bytes does what every kernel does first, against the clock.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Accelerator } from '../../../model/hardware.ts'
import { probeGuest } from './probe-guest.ts'

export type AcceleratorVerdict = { readonly accelerator: Accelerator; readonly reason: string }

/** Hardware needs 0.1 s for it, TCG 0.2 s. */
export const probeTimeoutMs = 3000
/** What the guest writes to the exit device (0x10) becomes 0x10 * 2 + 1. */
const guestFinished = 33

/** Runs the probe guest under KVM. Returns within `timeoutMs`; never throws for what KVM does. */
export async function probeAccelerator(binary: string, timeoutMs: number): Promise<AcceleratorVerdict> {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-probe-'))
  try {
    const kernel = join(directory, 'probe-guest')
    await writeFile(kernel, probeGuest)
    const startedAt = performance.now()
    const { ending, words } = await runProbe(binary, kernel, timeoutMs)
    const tookMs = Math.round(performance.now() - startedAt)
    if (ending === guestFinished) return { accelerator: 'kvm', reason: `a test guest ran under KVM in ${tookMs} ms` }
    if (ending === 'deadline') {
      const reason = `KVM opens, but a test guest was not through within ${timeoutMs} ms (0.1 s is usual): kernels would hang on it`
      return { accelerator: 'tcg', reason }
    }
    const lastWords = words.trim().split('\n').at(-1) ?? ''
    return { accelerator: 'tcg', reason: `KVM does not run a guest here: ${lastWords || `QEMU ended with ${ending}`}` }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function runProbe(
  binary: string,
  kernel: string,
  timeoutMs: number,
): Promise<{ ending: number | 'deadline' | 'failed'; words: string }> {
  const args = [
    ...['-accel', 'kvm', '-machine', 'q35', '-m', '64', '-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-kernel', kernel, '-device', 'isa-debug-exit,iobase=0x501,iosize=1'],
  ]
  return new Promise((resolve) => {
    const qemu = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let words = ''
    let isOverdue = false
    const timer = setTimeout(() => {
      isOverdue = true
      qemu.kill('SIGKILL')
    }, timeoutMs)
    qemu.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      words = (words + chunk).slice(-4096)
    })
    qemu.once('error', (error) => {
      clearTimeout(timer)
      resolve({ ending: 'failed', words: error.message })
    })
    qemu.once('close', (code) => {
      clearTimeout(timer)
      resolve({ ending: isOverdue ? 'deadline' : (code ?? 'failed'), words })
    })
  })
}
