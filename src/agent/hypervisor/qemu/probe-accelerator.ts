/**
 * Which accelerator works here: that /dev/kvm opens says nothing. On some hosts (nested without hardware help) a guest runs under KVM
 * but each page table change and string instruction is emulated, so that a kernel needs minutes for what takes a blink under TCG.
 * So a guest of 400 bytes does what every kernel does first, against the clock.
 */
import { spawn } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Accelerator } from '../../../model/hardware.ts'
import { probeGuest } from './probe-guest.ts'

export type AcceleratorVerdict = { readonly accelerator: Accelerator; readonly reason: string }

/** Hardware needs 0.1 s for it, TCG 0.2 s. */
export const probeTimeoutMs = 3000
/** What the guest writes to the exit device (0x10) becomes 0x10 * 2 + 1. */
const guestFinished = 33

/**
 * Runs the probe guest under KVM, from a file in `directory` that is gone afterwards. Returns soon after `timeoutMs` at the latest; never
 * throws for what KVM does.
 */
export async function probeAccelerator(
  binary: string,
  directory: string,
  timeoutMs: number,
): Promise<AcceleratorVerdict> {
  const kernel = join(directory, `probe-guest-${process.pid}`)
  await writeFile(kernel, probeGuest)
  const startedAt = performance.now()
  try {
    const ending = await runProbe(binary, kernel, timeoutMs)
    return judge(ending, { tookMs: Math.round(performance.now() - startedAt), timeoutMs })
  } finally {
    await rm(kernel, { force: true })
  }
}

/** The exit code is undefined when time was up. */
type ProbeEnding = { readonly code: number | undefined; readonly words: string }

function judge(
  { code, words }: ProbeEnding,
  { tookMs, timeoutMs }: { readonly tookMs: number; readonly timeoutMs: number },
): AcceleratorVerdict {
  if (code === guestFinished) return { accelerator: 'kvm', reason: `a test guest ran under KVM in ${tookMs} ms` }
  if (code === undefined) {
    const reason = `KVM opens, but a test guest was not through within ${timeoutMs} ms (0.1 s is usual): kernels would hang on it`
    return { accelerator: 'tcg', reason }
  }
  const lastWords = words.trim().split('\n').at(-1) ?? ''
  return { accelerator: 'tcg', reason: `KVM does not run a guest here: ${lastWords || `QEMU ended with ${code}`}` }
}

function runProbe(binary: string, kernel: string, timeoutMs: number): Promise<ProbeEnding> {
  const args = [
    // A program of its own holds the clock: a guest that spins ends also when the agent dies meanwhile.
    ...['--signal=KILL', `${timeoutMs / 1000}`, binary],
    ...['-accel', 'kvm', '-machine', 'q35', '-m', '64', '-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-kernel', kernel, '-device', 'isa-debug-exit,iobase=0x501,iosize=1'],
  ]
  return new Promise((resolve) => {
    const qemu = spawn('timeout', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let words = ''
    qemu.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      words = (words + chunk).slice(-4096)
    })
    qemu.once('error', (error) => resolve({ code: -1, words: error.message }))
    // SIGKILL ends `timeout` as well, so there is no code then.
    qemu.once('close', (code) => resolve({ code: code ?? undefined, words }))
  })
}
