/** Whether a host's processor runs a machine that is pinned to a model. */

import type { PinnedHardware } from '../../model/hardware.ts'
import type { HostStatus } from '../../model/host.ts'

/** What speaks against it, in a sentence; undefined when nothing does. Under emulation every host has every model. */
export function refuseCpu(status: Pick<HostStatus, 'cpuModel'>, hardware: PinnedHardware): string | undefined {
  if (hardware.accelerator === 'tcg' || status.cpuModel === hardware.cpuModel) return undefined
  if (status.cpuModel === null) return 'it has not told its CPU model'
  const [offered, needed] = [partsOf(status.cpuModel), partsOf(hardware.cpuModel)]
  if (offered.base !== needed.base) return `its CPU model is ${offered.base}, the machine is pinned to ${needed.base}`
  const missing = needed.features.filter((feature) => !offered.features.includes(feature))
  return missing.length === 0 ? undefined : `its CPU lacks ${missing.map((name) => name.slice(1)).join(', ')}`
}

/** `qemu64-v1,+aes,+avx`: a base and what is switched on. */
function partsOf(model: string): { readonly base: string; readonly features: readonly string[] } {
  const [base = '', ...features] = model.split(',')
  return { base, features }
}
