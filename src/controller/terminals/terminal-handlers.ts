/** Serial consoles over the API. */
import type { vmRoutes } from '../../model/api/vm-routes.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findVm } from '../handlers/api-context.ts'
import { assertAllowed } from '../handlers/assert-allowed.ts'
import { createConsoleTickets } from './console-tickets.ts'
import { createTerminals } from './open-terminal.ts'

export function terminalHandlers(
  context: ApiContext,
): Pick<Handlers<typeof vmRoutes>, 'vmConsole' | 'vmConsoleTicket'> {
  const { clock, randomBytes } = context.engine.leader
  const terminals = createTerminals(context)
  const tickets = createConsoleTickets({ nowMs: () => clock.bootTimeMs(), randomBytes })
  return {
    vmConsole({ params, query }, caller) {
      const vm = findVm(context, params.vm)
      // A program has shown its token; a browser would send its cookie whoever made it call.
      if (caller.sessionKey !== undefined) tickets.redeem(query.ticket, vm.spec.id, caller)
      assertAllowed(vm, 'console')
      return terminals.open(vm)
    },
    vmConsoleTicket({ params }, caller) {
      const vm = findVm(context, params.vm)
      assertAllowed(vm, 'console')
      return { ticket: tickets.issue(vm.spec.id, caller) }
    },
  }
}
