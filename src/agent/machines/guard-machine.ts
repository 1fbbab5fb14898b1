import type { Keeping } from './keeping.ts'
import { sharedStoragesOf } from './launch-machine.ts'

/** Puts it under the watchdog's guard, as frozen or not; resolves when the watchdog knows. One that no lease may kill needs none. */
export async function guardMachine({ vmId, record, ports }: Keeping, isFrozen: boolean): Promise<void> {
  if (!record.machine.leased) return
  const storageIds = sharedStoragesOf(record.machine, ports)
  await ports.licences.guard(vmId, { storageIds, cgroupDirectory: ports.cgroups.directory(vmId), isFrozen })
}
