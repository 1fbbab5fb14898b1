/** Moves a machine by shutting it down and starting it again: the reconciler finds it another host, as its own takes none any more. */
import { z } from 'zod'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type VmId, vmIdSchema } from '../../model/ids.ts'
import type { VmSpec } from '../../model/vm.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga } from '../tasks/saga.ts'
import { isRunning } from '../vms/create-vm.ts'
import { waitForVm } from '../vms/wait-for-vm.ts'

const journalSchema = z.object({ vmId: vmIdSchema })
/** A guest that doesn't listen to its power button is switched off after this. */
const shutdownWithinMs = 60_000

export function restartElsewhereSaga(leader: Leader): RunnableSaga {
  return defineSaga<z.infer<typeof journalSchema>>({
    kind: 'vm.restart-elsewhere',
    journalSchema,
    pointOfNoReturn: 'start',
    steps: [
      {
        name: 'stop',
        message: 'pressed its power button and waits until it is down',
        timeoutMs: shutdownWithinMs + 60_000,
        run: async ({ journal: { vmId }, signal }) => {
          await wish(leader, vmId, { desired: 'stopped', stopMode: 'shutdown' })
          const patience = new AbortController()
          const enough = leader.clock.sleep(shutdownWithinMs, patience.signal).then(
            () => (patience.signal.aborted ? undefined : wish(leader, vmId, { desired: 'stopped', stopMode: 'kill' })),
            () => undefined,
          )
          await waitForVm(leader, vmId, {
            signal,
            condition: (vm) => (vm === undefined || vm.status?.state === 'stopped' ? 'yes' : 'not-yet'),
          }).finally(() => patience.abort())
          await enough
        },
        // Whatever went wrong: its owner wants it running.
        undo: ({ journal: { vmId } }) => wish(leader, vmId, { desired: 'running', stopMode: 'shutdown' }),
      },
      {
        name: 'start',
        message: 'waits until it runs on another host',
        timeoutMs: 180_000,
        run: async ({ journal: { vmId }, signal }) => {
          await wish(leader, vmId, { desired: 'running', stopMode: 'shutdown' })
          await waitForVm(leader, vmId, {
            signal,
            condition: (vm) => (vm?.status?.state === 'failed' ? 'not-yet' : isRunning(vm)),
          })
        },
      },
    ],
  })
}

async function wish(leader: Leader, vmId: VmId, change: Pick<VmSpec, 'desired' | 'stopMode'>): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const spec = leader.index.state().vms.get(vmId)?.spec
    if (spec === undefined) throw new DialtoneError('not-found', 'the machine was deleted')
    if (spec.desired === change.desired && spec.stopMode === change.stopMode) return
    const key = keys.vm(vmId)
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, key)],
      writes: [put(key, { ...spec, ...change })],
    })
    if (result.kind === 'committed') return
    await leader.clock.sleep(2)
  }
  throw new DialtoneError('conflict', 'the machine is being changed by others at the same time')
}
