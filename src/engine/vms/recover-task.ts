/** A recovery by hand: the machine is ended as it runs, and brought back by the rung that was asked for. */
import { z } from 'zod'
import { vmIdSchema } from '../../model/ids.ts'
import { rungSchema } from '../../model/recovery/recovery-policy.ts'
import type { AgentPort } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import type { LedgerKeeper } from '../ledger/keep-ledger.ts'
import { machineTarget } from '../order-target.ts'
import { defineSaga, type RunnableSaga } from '../tasks/saga.ts'

const journalSchema = z.object({ vmId: vmIdSchema, rung: rungSchema, beganAt: z.iso.datetime() })

export function recoverSaga(leader: Leader, agents: AgentPort, ledger: LedgerKeeper): RunnableSaga {
  return defineSaga<z.infer<typeof journalSchema>>({
    kind: 'vm.recover',
    journalSchema,
    pointOfNoReturn: 'recover',
    steps: [
      {
        name: 'recover',
        message: 'ends it and brings it back',
        timeoutMs: 60_000,
        run: async ({ task, journal: { vmId, rung }, signal }) => {
          // Done again after a crash: it was ended already, and what runs now is its recovery.
          if (await ledger.hasFailed(vmId, { since: task.id, signal })) return
          const { host, authority, placement } = machineTarget(leader, vmId)
          await agents.recoverMachine(host, { vmId, authority, epoch: placement.epoch, rung })
        },
      },
      {
        name: 'serve',
        message: 'waits until it serves again',
        timeoutMs: 180_000,
        run: async ({ task, journal: { vmId }, signal }) => {
          if (leader.index.state().vms.get(vmId)?.spec.probe !== null)
            await ledger.untilServing(vmId, { since: task.id, signal })
        },
      },
    ],
  })
}
