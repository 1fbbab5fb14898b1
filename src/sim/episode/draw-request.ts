/** Draws what owners and operators ask for while everything else happens. */
import type { SeededRandom } from '../seeded-random.ts'
import type { WorkloadItem } from '../world/world.ts'
import type { Targets } from './draw-fault.ts'

type Draw = (random: SeededRandom, targets: Targets, number: number) => WorkloadItem

const vm = (random: SeededRandom, { vms }: Targets) => ({ vm: random.pick(vms) })
const host = (random: SeededRandom, { hosts }: Targets) => ({ host: random.pick(hosts) })

const kinds: readonly (readonly [weight: number, draw: Draw])[] = [
  [4, (random, targets) => ({ call: 'migrateVm', params: vm(random, targets), body: {} })],
  [2, (random, targets) => ({ call: 'migrateVm', params: vm(random, targets), body: host(random, targets) })],
  [2, (random, targets) => ({ call: 'stopVm', params: vm(random, targets), body: { timeoutSeconds: 5 } })],
  [3, (random, targets) => ({ call: 'startVm', params: vm(random, targets), body: {} })],
  [1, (random, targets) => ({ call: 'killVm', params: vm(random, targets) })],
  [1, (random, targets) => ({ call: 'pauseVm', params: vm(random, targets) })],
  [2, (random, targets) => ({ call: 'resumeVm', params: vm(random, targets) })],
  [1, (random, targets) => ({ call: 'deleteVm', params: vm(random, targets), query: { force: 'true' } })],
  [
    2,
    (_random, _targets, number) => ({ call: 'createVm', body: { name: `new-${number}`, template: 'tiny', ha: true } }),
  ],
  [2, (random, targets) => ({ call: 'beginMaintenance', params: host(random, targets), body: {} })],
  [3, (random, targets) => ({ call: 'endMaintenance', params: host(random, targets) })],
  [
    1,
    (random, targets) => ({
      call: 'drillVm',
      params: vm(random, targets),
      body: { kind: 'kill-qemu', confirmed: true },
    }),
  ],
]

export function drawRequest(random: SeededRandom, targets: Targets, number: number): WorkloadItem | undefined {
  if (targets.vms.length === 0) return undefined
  let left = random.between(
    0,
    kinds.reduce((sum, [weight]) => sum + weight, 0),
  )
  for (const [weight, draw] of kinds) {
    left -= weight
    if (left <= 0) return draw(random, targets, number)
  }
  return undefined
}
