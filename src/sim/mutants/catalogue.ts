/** Every seeded bug, layer by layer. */
import { agentMutants } from './catalogue/agent.ts'
import { controlMutants } from './catalogue/control.ts'
import { engineHostMutants } from './catalogue/engine-hosts.ts'
import { engineVmMutants } from './catalogue/engine-vms.ts'
import { modelMutants } from './catalogue/model.ts'
import { restoredMutants } from './catalogue/restored.ts'
import { watchdogMutants } from './catalogue/watchdog.ts'
import type { Mutant } from './mutant.ts'

export const catalogue: readonly Mutant[] = [
  ...modelMutants,
  ...controlMutants,
  ...engineHostMutants,
  ...engineVmMutants,
  ...agentMutants,
  ...watchdogMutants,
  ...restoredMutants,
]
