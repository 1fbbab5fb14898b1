/** A drill: a failure is really injected, the recovery is waited for, and both are entered apart from what nobody wanted. */
import { z } from 'zod'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { hostIdSchema, vmIdSchema } from '../../model/ids.ts'
import { drillKindSchema } from '../../model/recovery/drill.ts'
import type { AgentPort, FencePort } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import type { LedgerKeeper } from '../ledger/keep-ledger.ts'
import { orderTarget } from '../order-target.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'

const journalSchema = z.object({
  vmId: vmIdSchema,
  kind: drillKindSchema,
  /** Where it ran when the drill began. */
  hostId: hostIdSchema,
  beganAt: z.iso.datetime().nullable(),
})
type Journal = z.infer<typeof journalSchema>

/** The longest that a recovery by booting takes, with a host's death before it. */
const recoverWithinMs = 180_000

export function drillSaga(
  leader: Leader,
  ports: { readonly agents: AgentPort; readonly fences: FencePort; readonly ledger: LedgerKeeper },
): RunnableSaga {
  const { ledger } = ports
  return defineSaga<Journal>({
    kind: 'vm.drill',
    journalSchema,
    // Whatever goes wrong before: the drill is ended in the ledger, and a host that was switched off is switched on again.
    pointOfNoReturn: 'restore',
    steps: [
      {
        name: 'begin',
        message: 'enters the drill in the ledger',
        timeoutMs: 30_000,
        run: async ({ journal, task }) => {
          const beganAt = leader.clock.wallTime().toISOString()
          await ledger.note(journal.vmId, { kind: 'drill-began', at: beganAt, drillId: task.id, drill: journal.kind })
          return { beganAt }
        },
        undo: ({ journal, task }) => endDrill(leader, ledger, { journal, drillId: task.id }),
      },
      {
        name: 'inject',
        message: 'makes it fail',
        timeoutMs: 60_000,
        run: (context) => inject(leader, ports, context),
        undo: ({ journal }) => switchHostOn(leader, ports.fences, journal),
      },
      {
        name: 'recover',
        message: 'waits until it serves again',
        timeoutMs: recoverWithinMs,
        run: async ({ journal, task, signal }) => {
          await ledger.untilServing(journal.vmId, { since: task.id, signal })
          await endDrill(leader, ledger, { journal, drillId: task.id })
        },
      },
      {
        name: 'restore',
        message: 'puts back what the drill took away',
        timeoutMs: 120_000,
        run: async ({ journal, signal }) => {
          if (journal.kind !== 'kill-host') return
          await switchHostOn(leader, ports.fences, journal)
          while (leader.index.state().hosts.get(journal.hostId)?.status.state !== 'online') {
            signal.throwIfAborted()
            await leader.clock.sleep(100, signal)
          }
        },
      },
    ],
  })
}

async function inject(
  leader: Leader,
  { agents, fences, ledger }: { readonly agents: AgentPort; readonly fences: FencePort; readonly ledger: LedgerKeeper },
  { task, journal, signal }: StepContext<Journal>,
): Promise<void> {
  // Done again after a crash: one failure is enough.
  if (await ledger.hasFailed(journal.vmId, { since: task.id, signal })) return
  const { spec, placement } = leader.index.state().vms.get(journal.vmId) ?? {}
  const target = orderTarget(leader, journal.hostId)
  if (spec === undefined || placement?.hostId !== journal.hostId || target === undefined)
    throw new DialtoneError('wrong-state', 'it has moved since the drill was asked for: nothing was injected')
  const { host, authority } = target
  if (journal.kind === 'kill-host') return fences.switchOff(host)
  await agents.injectFailure(host, { vmId: spec.id, authority, epoch: placement.epoch, failure: journal.kind })
}

/** Only what the drill may have switched off. One that is on already hears the same again, and stays on. */
async function switchHostOn(leader: Leader, fences: FencePort, { kind, hostId }: Journal): Promise<void> {
  const host = leader.index.state().hosts.get(hostId)
  if (kind !== 'kill-host' || host === undefined || host.spec.fence === null) return
  await fences.switchOn(host.spec)
}

async function endDrill(
  leader: Leader,
  ledger: LedgerKeeper,
  { journal, drillId }: { readonly journal: Journal; readonly drillId: string },
): Promise<void> {
  const at = leader.clock.wallTime().toISOString()
  await ledger.note(journal.vmId, { kind: 'drill-ended', at, drillId, drill: journal.kind })
}
