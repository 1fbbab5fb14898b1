/** One live migration under a client: what every bench of moves takes its samples by. */
import { setTimeout as delay } from 'node:timers/promises'
import type { OpenLaboratory } from '../e2e/open-laboratory.ts'
import type { EventView } from '../src/model/api/views.ts'
import { longestGap } from './peers/longest-gap.ts'
import { createTinyClient } from './peers/tiny-guest.ts'

/** The client's own pace, before and after a move. */
const quietMs = 700

/** `told`: the event that tells of the move, with its figures. */
export async function moveOnce(
  { api, untilTaskEnds }: OpenLaboratory,
  guest: { readonly name: string; readonly address: string },
): Promise<{ readonly clientGapMs: number; readonly told: EventView | undefined }> {
  using client = createTinyClient(guest)
  await delay(quietMs)
  const { task } = await api.call('migrateVm', { params: { vm: guest.name }, body: {} })
  await untilTaskEnds(task.id)
  await delay(quietMs)
  const { events } = await api.call('listEvents', { query: { limit: 50 } })
  return { clientGapMs: longestGap(client.answers), told: events.findLast(({ kind }) => kind === 'vm.migrated') }
}
