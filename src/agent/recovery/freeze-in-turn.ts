/** Takes a machine's instant in turn with everything else that changes the machine, and writes down where its disks are written to then. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import { enqueue, type Keeping } from '../machines/keeping.ts'
import { type CaptureTask, type FrozenMachine, freezeMachine } from './capture-image.ts'
import { noteLayers } from './note-layers.ts'
import { stopTidying } from './tidy-layers.ts'

export function freezeInTurn(keeping: Keeping, task: CaptureTask): Promise<FrozenMachine> {
  return enqueue(keeping, async () => {
    await stopTidying(keeping)
    const { phase, running, ports } = keeping
    // One that waits for its licence must not be let run, and its disks may be another host's.
    if (phase !== 'running')
      throw new DialtoneError('wrong-state', `${task.machine.name} is ${phase}: only one that runs can be captured`)
    try {
      return await freezeMachine({ ...task, running }, ports)
    } finally {
      await noteLayers(keeping)
    }
  })
}
