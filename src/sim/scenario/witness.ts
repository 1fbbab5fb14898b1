/** Looks at the hosts themselves while a scenario runs: which machines ran, where, since when, and whether they ever stood still. */
import type { VmId } from '../../model/ids.ts'
import type { Seen } from '../observation.ts'

export type Start = { readonly vmId: VmId; readonly hostName: string; readonly atMs: number }

export type Witness = {
  look(seen: Seen): void
  /** From now on disturbances and starts count. */
  begin(): void
  /** The hosts whose processes of this machine have running vCPUs. */
  runsOn(vmId: VmId): readonly string[]
  wasDisturbed(vmId: VmId): boolean
  disturbed(): readonly VmId[]
  /** A process of it ran for the first time. */
  starts(): readonly Start[]
}

export function createWitness(): Witness {
  const running = new Map<string, { readonly vmId: VmId; readonly hostName: string }>()
  const started = new Set<string>()
  let disturbed = new Set<VmId>()
  let starts: Start[] = []
  return {
    look(seen) {
      if (seen.kind === 'guest-runs') {
        running.set(seen.process, seen)
        if (!started.has(seen.process)) starts.push(seen)
        started.add(seen.process)
      }
      if ((seen.kind === 'guest-stands' || seen.kind === 'process-ended') && running.delete(seen.process))
        disturbed.add(seen.vmId)
    },
    begin() {
      disturbed = new Set()
      starts = []
    },
    runsOn: (vmId) => [...running.values()].filter((one) => one.vmId === vmId).map(({ hostName }) => hostName),
    wasDisturbed: (vmId) => disturbed.has(vmId),
    disturbed: () => [...disturbed],
    starts: () => starts,
  }
}
