/** A lost state is entered anew from what hosts and storages tell. */
import { planRebuild } from '../../control/rebuild/plan-rebuild.ts'
import { enterRebuilt } from '../../engine/rebuild/enter-rebuilt.ts'
import type { rebuildRoutes } from '../../model/api/rebuild-routes.ts'
import type { RebuildPlan } from '../../model/rebuild/rebuild-plan.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import type { ApiContext } from '../handlers/api-context.ts'
import { gatherTestimony } from './gather-testimony.ts'
import type { Introductions } from './introductions.ts'

export type RebuildContext = ApiContext & { readonly introductions: Introductions }

/** A storage with a hundred thousand volumes takes its time. */
const contentsTimeoutMs = 120_000

export function rebuildHandlers(context: RebuildContext): Handlers<typeof rebuildRoutes> {
  return {
    planRebuild: async () => (await plan(context)).view,
    async rebuild(_input, caller) {
      const { view, entries } = await plan(context)
      const { entered, refused } = await enterRebuilt(context.engine.leader, entries, { user: caller.name })
      return { ...view, entered: [...entered], refused: [...refused] }
    },
  }
}

async function plan({ engine, agents, introductions }: RebuildContext): Promise<RebuildPlan> {
  const { index, clock } = engine.leader
  const at = clock.wallTime().toISOString()
  const testimony = await gatherTestimony(index.state(), {
    at,
    introductions: introductions.list(),
    witnesses: {
      inventory: (host) => agents.inventory(host),
      storageContents: (host, storageId) =>
        agents.client(host).call('storageContents', { params: { storageId } }, { timeoutMs: contentsTimeoutMs }),
    },
  })
  // The state as it is after all that asking.
  return planRebuild(index.state(), testimony, at)
}
