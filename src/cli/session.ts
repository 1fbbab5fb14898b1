/** What a command works with: the controller's API and the screen. */
import type { Command } from 'commander'
import { type ApiContract, apiContract } from '../model/api/contract.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { type ContractClient, createContractClient } from '../transport/contract-client.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { findServer, type Server, type ServerChoice } from './find-server.ts'
import { openScreen, type Screen } from './screen.ts'

export type Api = ContractClient<ApiContract>
export type Session = { readonly api: Api; readonly screen: Screen }

/** Options that every command understands, before or after its own. */
export type GlobalOptions = { readonly json?: boolean; readonly lab?: string; readonly server?: string }

const callTimeoutMs = 15_000
const probeTimeoutMs = 2000

/** Finds the controller, does the work, closes the connections whatever happens. */
export async function withSession(command: Command, work: (session: Session) => Promise<void>): Promise<void> {
  const options = command.optsWithGlobals<GlobalOptions>()
  const server = await findServer(choiceOf(options))
  const api = openApi(server, callTimeoutMs)
  try {
    await work({ api, screen: screenOf(options) })
  } catch (error) {
    throw (await isAway(api, error)) ? unreachable(server, error) : error
  } finally {
    await api.close()
  }
}

/** The choice of the server that the options and the environment make. */
export function choiceOf(options: GlobalOptions): ServerChoice {
  return { server: options.server, laboratory: options.lab, environment: process.env }
}

/** A client of the controller. */
export function openApi({ baseUrl, token, ca }: Server, timeoutMs: number): Api {
  const credentials = { ...(token === undefined ? {} : { token }), ...(ca === undefined ? {} : { tls: { ca } }) }
  return createContractClient(apiContract, { baseUrl, timeoutMs, ...credentials })
}

/** The screen of this process for these options. */
export function screenOf(options: GlobalOptions): Screen {
  return openScreen(options.json === true, {
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
  })
}

/** Whether it is the controller that cannot be reached: it may also have said so of a host. */
async function isAway(api: Api, error: unknown): Promise<boolean> {
  if (!(error instanceof DialtoneError && error.code === 'host-unreachable')) return false
  return api.call('health', {}, { timeoutMs: probeTimeoutMs }).then(
    () => false,
    () => true,
  )
}

function unreachable(server: Server, error: unknown): CommandFailure {
  const reason = error instanceof Error ? error.message : String(error)
  return new CommandFailure('host-unreachable', `The ${server.label} cannot be reached: ${reason}`, {
    exitCode: exitCodes.unreachable,
    next: server.isLaboratory
      ? 'Look whether it runs: dialtone status. Start it with dialtone up.'
      : 'Look whether the controller runs there, and whether the address is right.',
  })
}
