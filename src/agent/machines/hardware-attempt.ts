/** What the steps share that give a running machine its hardware. */
import type { HardwareNote } from '../../model/growth.ts'
import type { MachineHardware, RunningMachine } from '../hypervisor/hypervisor.ts'

/** Notes what could not be done, and goes on with the rest. */
export type Attempt = (of: Pick<HardwareNote, 'what' | 'which'>, work: () => Promise<void>) => Promise<void>

/** A machine, and what it had when it was looked at. */
export type Look = { readonly machine: RunningMachine; readonly before: MachineHardware }
