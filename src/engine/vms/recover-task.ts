/** A recovery by hand: the machine is ended as it runs, and brought back by the rung that was asked for. */
import { z } from 'zod'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { vmIdSchema } from '../../model/ids.ts'
import { rungSchema } from '../../model/recovery/recovery-policy.ts'
import type { AgentPort } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import type { LedgerKeeper } from '../ledger/keep-ledger.ts'
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
        run: async ({ journal: { vmId, rung, beganAt }, signal }) => {
          // Done again after a crash: it was ended already, and what runs now is its recovery.
          if (await ledger.hasFailed(vmId, { since: beganAt, signal })) return
          const { spec, placement } = leader.index.state().vms.get(vmId) ?? {}
          const host = placement === undefined ? undefined : leader.index.state().hosts.get(placement.hostId)
          const session = host?.status.session
          if (
            spec === undefined ||
            placement === undefined ||
            host === undefined ||
            session === null ||
            session === undefined
          )
            throw new DialtoneError('wrong-state', 'it is on no host that answers')
          const authority = { term: leader.term, session }
          await agents.recoverMachine(host.spec, { vmId, authority, epoch: placement.epoch, rung })
        },
      },
      {
        name: 'serve',
        message: 'waits until it serves again',
        timeoutMs: 180_000,
        run: async ({ journal: { vmId, beganAt }, signal }) => {
          if (leader.index.state().vms.get(vmId)?.spec.probe !== null)
            await ledger.untilServing(vmId, { since: beganAt, signal })
        },
      },
    ],
  })
}
