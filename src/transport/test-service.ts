/** For tests: a contract served on a free port of the loopback address, and clients of it; all is closed with the test. */
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import type { Contract } from '../model/api/route.ts'
import type { Identify } from './caller.ts'
import { type ClientOptions, type ContractClient, createContractClient } from './contract-client.ts'
import { type Handlers, type MountOptions, mountContract } from './mount-contract.ts'
import { listen, makeServer, type ServerOptions } from './serve.ts'

export type Service<C extends Contract> = {
  readonly app: FastifyInstance
  readonly baseUrl: string
  readonly port: number
  /** Connections that the server has accepted so far. */
  connections(): number
  client(options?: Partial<ClientOptions>): ContractClient<C>
}

type ServiceOptions = Partial<MountOptions> & { readonly server?: ServerOptions; readonly port?: number }

const asAdministrator: Identify = () => ({ name: 'root', role: 'administrator' })

export async function startService<C extends Contract>(
  context: TestContext,
  [contract, handlers]: readonly [C, Handlers<C>],
  { server, port: wanted, ...options }: ServiceOptions = {},
): Promise<Service<C>> {
  const app = makeServer(server)
  mountContract(app, contract, handlers, { identify: asAdministrator, checkAnswers: true, ...options })
  let accepted = 0
  app.server.on('connection', () => {
    accepted += 1
  })
  const port = await listen(app, { host: '127.0.0.1', port: wanted ?? 0 })
  context.after(() => app.close())
  const baseUrl = `${server?.tls ? 'https' : 'http'}://127.0.0.1:${port}`
  return {
    app,
    baseUrl,
    port,
    connections: () => accepted,
    client: (clientOptions) => {
      const client = createContractClient(contract, { baseUrl, ...clientOptions })
      context.after(() => client.close())
      return client
    },
  }
}
