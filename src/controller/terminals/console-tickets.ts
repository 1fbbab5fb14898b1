/**
 * Tickets for consoles: a browser cannot put a header of ours on a web socket, so it asks for a ticket first, which it can only do as
 * the console's own page, and shows it once. In memory: whoever has one uses it at once, on this controller.
 */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { VmId } from '../../model/ids.ts'
import type { Caller } from '../../transport/caller.ts'

export type ConsoleTickets = {
  issue(vmId: VmId, caller: Caller): string
  /** Throws `forbidden` unless it was issued to this session, for this machine, a moment ago, and never shown before. */
  redeem(ticket: string | undefined, vmId: VmId, caller: Caller): void
}

/** From the answer to the web socket. */
const lifeMs = 20_000
/** Of those that were never shown, the oldest go first. */
const kept = 1_000

type Issued = {
  readonly vmId: VmId
  readonly sessionKey: string | undefined
  readonly name: string
  readonly untilMs: number
}

export function createConsoleTickets(options: {
  nowMs(): number
  randomBytes(count: number): Uint8Array
}): ConsoleTickets {
  const tickets = new Map<string, Issued>()
  return {
    issue(vmId, { sessionKey, name }) {
      const ticket = Buffer.from(options.randomBytes(24)).toString('base64url')
      tickets.set(ticket, { vmId, sessionKey, name, untilMs: options.nowMs() + lifeMs })
      const [oldest] = tickets.keys()
      if (tickets.size > kept && oldest !== undefined) tickets.delete(oldest)
      return ticket
    },
    redeem(ticket, vmId, { sessionKey, name }) {
      const issued = ticket === undefined ? undefined : tickets.get(ticket)
      if (ticket !== undefined) tickets.delete(ticket)
      const isGood =
        issued !== undefined &&
        issued.vmId === vmId &&
        issued.sessionKey === sessionKey &&
        issued.name === name &&
        issued.untilMs >= options.nowMs()
      if (!isGood)
        throw new DialtoneError(
          'forbidden',
          'A console is opened with a ticket for it, which counts once and for a moment.',
        )
    },
  }
}
