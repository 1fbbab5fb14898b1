/**
 * A simulated cluster in real time behind the real API and console: what `npm run dev` shows and browser tests use. While no controller
 * leads nobody listens, as with a real one.
 */
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { identifyCaller } from '../../controller/access/identify-caller.ts'
import { createSignInBrake, type SignInBrake } from '../../controller/access/sign-in-brake.ts'
import { serveConsole } from '../../controller/console/serve-console.ts'
import { apiHandlers } from '../../controller/handlers/api-handlers.ts'
import { createIntroductions } from '../../controller/rebuild/introductions.ts'
import { systemClock } from '../../linux/system-clock.ts'
import { apiContract } from '../../model/api/contract.ts'
import { mountContract } from '../../transport/mount-contract.ts'
import { listen, makeServer } from '../../transport/serve.ts'
import type { ControllerProcess } from '../controller/controller-process.ts'
import type { World } from '../world/world.ts'

export type LiveCloud = AsyncDisposable & {
  readonly world: World
  readonly url: string
}

/** How often virtual time catches up with real time. */
const stepMs = 10
const nowhere = { templates: '/nowhere', isos: '/nowhere', uploads: '/nowhere' }
const consoleDirectory = join(import.meta.dirname, '../../../dist/web')

/** Serves the world, which has to have a leader, on this port (0: any), and lets its time pass as fast as the clock on the wall does. */
export async function startLiveCloud(world: World, wantedPort: number): Promise<LiveCloud> {
  const brake = createSignInBrake(systemClock)
  let served = await serve(world, brake, wantedPort)
  const { port } = served
  const beganAtMs = performance.now() - world.nowMs()
  const stopping = new AbortController()
  const ended = run()

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await systemClock.sleep(stepMs, stopping.signal)
      await world.advance(Math.max(0, performance.now() - beganAtMs - world.nowMs()))
      const process = world.parts.controller.process()
      if (process === served.process) continue
      await served.app?.close()
      served = process?.engine() === undefined ? { ...served, app: undefined } : await serve(world, brake, port)
    }
    await served.app?.close()
  }

  return {
    world,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await ended
    },
  }
}

type Served = {
  readonly app: FastifyInstance | undefined
  readonly process: ControllerProcess | undefined
  readonly port: number
}

async function serve(world: World, brake: SignInBrake, wantedPort: number): Promise<Served> {
  const process = world.parts.controller.process()
  const engine = world.engine()
  const { store, clock, index } = engine.leader
  const app = makeServer({ closeGraceMs: 100 })
  const agents = process?.agents
  if (agents === undefined) throw new Error('no controller leads')
  mountContract(
    app,
    apiContract,
    apiHandlers({ engine, agents, brake, authorityPem: '', places: nowhere, introductions: createIntroductions() }),
    {
      identify: identifyCaller({ store, clock, clusterId: index.state().cluster.id }),
    },
  )
  serveConsole(app, consoleDirectory)
  const port = await listen(app, { host: '127.0.0.1', port: wantedPort })
  return { app, process, port }
}
