/** What QEMU is on this host, asked once and kept in a file as long as QEMU, the kernel and /dev/kvm stay the same. */
import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { runCommand } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { acceleratorSchema } from '../../../model/hardware.ts'
import type { HypervisorFacts } from '../hypervisor.ts'
import { chooseCpuModel } from './choose-cpu-model.ts'
import { readGuestSupport } from './firmware-files.ts'
import { probeLiveCapture } from './live-capture.ts'
import { probeAccelerator, probeTimeoutMs } from './probe-accelerator.ts'

const cacheSchema = z.object({
  key: z.string(),
  verdict: z.object({ accelerator: acceleratorSchema, reason: z.string() }),
})

export async function readHypervisorFacts(binary: string, cacheDirectory: string): Promise<HypervisorFacts> {
  const version = await readVersion(binary)
  const verdict = await cachedVerdict(binary, version, cacheDirectory)
  const [major, minor] = version.split('.')
  return {
    accelerator: verdict.accelerator,
    acceleratorReason: verdict.reason,
    version,
    machineType: `pc-q35-${major}.${minor}`,
    cpuModel: chooseCpuModel(verdict.accelerator, await readHostFlags()),
    guestSupport: await readGuestSupport(),
    liveCapture: await probeLiveCapture(binary),
  }
}

async function readVersion(binary: string): Promise<string> {
  const text = await runCommand(binary, ['--version'], { timeoutMs: 10_000 })
  const version = /version (\d+\.\d+\.\d+)/.exec(text)?.[1]
  if (version === undefined) throw new DialtoneError('machine-setup', `${binary} does not tell its version`)
  return version
}

async function cachedVerdict(
  binary: string,
  version: string,
  directory: string,
): Promise<z.infer<typeof cacheSchema>['verdict']> {
  const path = join(directory, 'accelerator.json')
  const device = await stat('/dev/kvm').catch(() => undefined)
  // The time of the device changes with each boot and each load of the module.
  const key = `${binary} ${version}, kernel ${release()}, kvm ${device?.mtimeMs ?? 'absent'}`
  const cached = cacheSchema.safeParse(await readJson(path))
  if (cached.success && cached.data.key === key) return cached.data.verdict
  const verdict =
    device === undefined
      ? { accelerator: 'tcg' as const, reason: 'this host has no /dev/kvm' }
      : await probeAccelerator(binary, directory, probeTimeoutMs)
  // Agents of several hosts may share the directory.
  const draft = `${path}.${process.pid}`
  await writeFile(draft, `${JSON.stringify({ key, verdict })}\n`)
  await rename(draft, path)
  return verdict
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch {
    return undefined
  }
}

async function readHostFlags(): Promise<ReadonlySet<string>> {
  const text = await readFile('/proc/cpuinfo', 'utf8')
  return new Set(/^flags\s*: (.*)$/m.exec(text)?.[1]?.split(' '))
}
