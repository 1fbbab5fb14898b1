/** One line of a scenario's steps, understood. */
import type { Fault } from '../faults/fault.ts'
import type { WorkloadItem } from '../world/world.ts'
import type { Expectation } from './expectation.ts'

export type Step = {
  readonly line: number
  /** As it is written, without its time. */
  readonly text: string
  readonly when: When
  readonly action: Action
}

/** `at`: since the scenario began. `after`: since the line before. */
export type When =
  | { readonly kind: 'at'; readonly timeMs: number }
  | { readonly kind: 'after'; readonly timeMs: number }
  | { readonly kind: 'at-once' }

export type Action =
  /** There before the scenario begins. */
  | { readonly kind: 'given'; readonly item: WorkloadItem; readonly vms: readonly string[] }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'request'; readonly item: WorkloadItem }
  | { readonly kind: 'power-on'; readonly host: string }
  | { readonly kind: 'heal' }
  | { readonly kind: 'wait'; readonly timeMs: number }
  | { readonly kind: 'expect'; readonly expectation: Expectation }
