/** Makes a machine really fail, for a drill. What follows is the same as for a failure that nobody asked for. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { InjectedFailure } from '../../model/recovery/drill.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import type { Keeping } from '../machines/keeping.ts'

const guestTimeoutMs = 3_000

export async function injectFailure(keeping: Keeping, failure: InjectedFailure): Promise<void> {
  const { running, record, phase, ports } = keeping
  const { name } = record.machine
  if (running === undefined || phase !== 'running')
    throw new DialtoneError('wrong-state', `${name} is ${phase}: only a running machine can be made to fail`)
  const drill = { injectedAt: ports.clock.wallTime() }
  keeping.drill = drill
  try {
    await inject(keeping, running, failure)
  } catch (error) {
    // Nothing was made to fail: the next failure is a real one.
    if (keeping.failure === undefined && keeping.drill === drill) keeping.drill = undefined
    throw error
  }
}

async function inject({ ports, record }: Keeping, running: RunningMachine, failure: InjectedFailure): Promise<void> {
  const { name } = record.machine
  switch (failure) {
    case 'kill-qemu':
      return ports.sendSignal(running.pid, 'SIGKILL')
    case 'freeze':
      return ports.sendSignal(running.pid, 'SIGSTOP')
    case 'cut-network':
      return running.setLink(false)
    case 'panic':
      return panic(running)
    case 'wrong-answers': {
      const { exitCode } = await running.runInGuest(['/etc/dialtone/drill', 'wrong-answers'], guestTimeoutMs)
      if (exitCode !== 0)
        throw new DialtoneError('wrong-state', `${name} has no /etc/dialtone/drill that makes it give wrong answers`)
    }
  }
}

/** The guest's agent dies with its kernel, so its silence is the expected answer. */
async function panic(running: RunningMachine): Promise<void> {
  try {
    await running.runInGuest(['/bin/sh', '-c', 'echo c > /proc/sysrq-trigger'], guestTimeoutMs)
  } catch (error) {
    if (!(error instanceof DialtoneError) || error.code !== 'guest-silent') throw error
  }
}
