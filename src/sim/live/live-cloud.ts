/**
 * A simulated cluster in real time behind the real API and console: what `npm run dev` shows and browser tests use. While no controller
 * leads nobody listens, as with a real one.
 */
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { identifyCaller } from '../../controller/access/identify-caller.ts'
import { createSignInBrake, type SignInBrake } from '../../controller/access/sign-in-brake.ts'
import { serveConsole } from '../../controller/console/serve-console.ts'
import { createFigureDesk, type FigureDesk } from '../../controller/figures/figure-desk.ts'
import { figureFilesInMemory } from '../../controller/figures/figure-files.ts'
import { apiHandlers } from '../../controller/handlers/api-handlers.ts'
import { createIntroductions } from '../../controller/rebuild/introductions.ts'
import { systemClock } from '../../linux/system-clock.ts'
import { apiContract } from '../../model/api/contract.ts'
import { figuresEveryMs } from '../../model/figures.ts'
import { mountContract } from '../../transport/mount-contract.ts'
import { listen, makeServer } from '../../transport/serve.ts'
import type { ControllerProcess } from '../controller/controller-process.ts'
import type { World } from '../world/world.ts'
import { makePast, measureWorld } from './simulated-figures.ts'

export type LiveCloud = AsyncDisposable & {
  readonly world: World
  readonly url: string
}

/** How often virtual time catches up with real time. */
const stepMs = 10
/** On a busy machine it catches up little by little: what lasts for seconds is seen by who looks. */
const longestStepMs = 200
const nowhere = { templates: '/nowhere', isos: '/nowhere', uploads: '/nowhere' }
const consoleDirectory = join(import.meta.dirname, '../../../dist/web')

/** Serves the world, which has to have a leader, on this port (0: any), and lets its time pass as fast as the clock on the wall does. */
export async function startLiveCloud(world: World, wantedPort: number): Promise<LiveCloud> {
  const brake = createSignInBrake(systemClock)
  const figures = await makeFigures(world)
  let served = await serve(world, { brake, figures: figures.desk }, wantedPort)
  const { port } = served
  const beganAtMs = performance.now() - world.nowMs()
  const stopping = new AbortController()
  const ended = run()

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await systemClock.sleep(stepMs, stopping.signal)
      const behindMs = performance.now() - beganAtMs - world.nowMs()
      await world.advance(Math.min(longestStepMs, Math.max(0, behindMs)))
      const process = world.parts.controller.process()
      if (process?.engine() !== undefined) figures.measure()
      if (process === served.process) continue
      await served.app?.close()
      served =
        process?.engine() === undefined
          ? { ...served, app: undefined }
          : await serve(world, { brake, figures: figures.desk }, port)
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

/** What its hosts take, from a past on: nobody in a simulated world measures. */
async function makeFigures(world: World): Promise<{ readonly desk: FigureDesk; measure(): void }> {
  const { logger } = world.engine().leader
  let nowMs = 0
  const setNowMs = (atMs: number) => {
    nowMs = atMs
  }
  const desk = createFigureDesk({ files: figureFilesInMemory(), logger, nowMs: () => nowMs })
  await makePast(world, desk, { nowMs: Date.now(), setNowMs })
  let measuredAtMs = nowMs
  return {
    desk,
    measure() {
      setNowMs(Date.now())
      if (nowMs - measuredAtMs < figuresEveryMs) return
      measuredAtMs = nowMs
      for (const [hostId, report] of measureWorld(world, nowMs)) desk.receive(hostId, report)
    },
  }
}

type Desks = { readonly brake: SignInBrake; readonly figures: FigureDesk }

async function serve(world: World, desks: Desks, wantedPort: number): Promise<Served> {
  const process = world.parts.controller.process()
  const engine = world.engine()
  const { store, clock, index } = engine.leader
  const app = makeServer({ closeGraceMs: 100 })
  const agents = process?.agents
  if (agents === undefined) throw new Error('no controller leads')
  const surroundings = { engine, agents, ...desks, authorityPem: '', places: nowhere }
  const handlers = apiHandlers({ ...surroundings, introductions: createIntroductions() })
  mountContract(app, apiContract, handlers, {
    identify: identifyCaller({ store, clock, clusterId: index.state().cluster.id }),
  })
  serveConsole(app, consoleDirectory)
  const port = await listen(app, { host: '127.0.0.1', port: wantedPort })
  return { app, process, port }
}
