/**
 * Tells the guest of a clone by disks, once it has booted, that it is another machine: host name, machine id, keys and random numbers of its own.
 * One with cloud-init hears it from its seed, too; one with neither keeps what is on its disks.
 */
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import { enqueue, type Keeping, writeRecord } from '../machines/keeping.ts'
import { identityOf } from '../recovery/become-clone.ts'

const becomeTimeoutMs = 10_000
const askAgainMs = 250
/** So long a guest may take to boot. */
const givesUpAfterMs = 300_000

/**
 * Resolves when it has taken it, or when nobody in it answers for so long that nobody will. Told twice is fine: it is the same. A life that
 * ends before leaves it untold, so the next one is told.
 */
export async function tellClone(keeping: Keeping, machine: RunningMachine): Promise<void> {
  const { ports, vmId } = keeping
  const givesUpAtMs = ports.clock.bootTimeMs() + givesUpAfterMs
  const isToBeTold = () => keeping.running === machine && keeping.record.machine.isUntoldClone && !keeping.isReleased
  const noteTold = async () => {
    await enqueue(keeping, async () => {
      if (isToBeTold()) await writeRecord(keeping, { machine: { ...keeping.record.machine, isUntoldClone: false } })
    })
    ports.reportSoon()
  }
  while (isToBeTold()) {
    try {
      await machine.askResident(await identityOf(keeping.record.machine, ports), becomeTimeoutMs)
      await noteTold()
      ports.logger.info('clone.told', { vmId })
      return
    } catch (error) {
      if (ports.clock.bootTimeMs() > givesUpAtMs) {
        ports.logger.warn('clone.not-told', { vmId, error })
        return noteTold()
      }
    }
    await ports.clock.sleep(askAgainMs)
  }
}
