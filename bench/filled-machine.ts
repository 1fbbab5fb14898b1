/** A machine of which so much memory is full, with a client that asks it every 5 ms: what benches of snapshots work on. */
import type { OpenLaboratory } from '../e2e/open-laboratory.ts'
import type { SnapshotKind } from '../src/model/snapshots/snapshot.ts'
import type { OutsideClient } from './peers/outside-client.ts'
import { createTinyClient, fillMemory } from './peers/tiny-guest.ts'

export const filledMachine = 'bench'

export type FilledCase = { readonly memoryMiB: number; readonly filledMiB: number; readonly kind: SnapshotKind }

/** It serves when this resolves. */
export async function openFilledMachine(
  laboratory: OpenLaboratory,
  { memoryMiB, filledMiB }: FilledCase,
): Promise<OutsideClient> {
  const { address } = await laboratory.deploy(filledMachine, { memoryMiB })
  if (filledMiB > 0) await fillMemory(address, filledMiB)
  return createTinyClient({ name: filledMachine, address })
}
