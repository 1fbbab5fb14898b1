/** Only a guest that can be told to draw new random numbers may be resumed or cloned, so it is asked before an image is made. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'

const attemptTimeoutMs = 2_000
const attempts = 10

/** Throws `image-unfit` when no resident agent answers within some seconds. */
export async function requireResident(machine: RunningMachine): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await machine.askResident({ do: 'hello' }, attemptTimeoutMs)
      return
    } catch (error) {
      if (attempt < attempts) continue
      throw new DialtoneError(
        'image-unfit',
        'its guest has no resident agent that answers, so a resumed machine could not be given new random numbers',
        { cause: error },
      )
    }
  }
}
