/**
 * A machine moves to another host while it runs: the longest time between two correct answers to an outside client that asks every 5 ms
 * (clientGap), how long its processors stood still (pause, from the events of both QEMUs), and the whole move (total). The peer is virsh
 * migrate --live between two hosts, with the same guest and the same client; samples of both are taken in turn.
 */
import { z } from 'zod'
import { openLaboratory } from '../e2e/open-laboratory.ts'
import { benchOfCases } from './bench.ts'
import { type Figure, figuresWithPeers } from './figure.ts'
import { moveOnce } from './move-once.ts'
import { openVirshMigration } from './peers/libvirt/virsh-migration.ts'

const machine = 'bench'
const memoryMiB = 256
const samplesPerPeerSample = 5

/** What the guest writes to its memory meanwhile: MiB, and MiB a second (0: as fast as it can). */
const cases: Readonly<Record<string, { readonly mib: number; readonly rate: number } | null>> = {
  idle: null,
  'dirty-50': { mib: 64, rate: 50 },
  'dirty-full': { mib: 64, rate: 0 },
}

const figuresSchema = z.object({ totalMs: z.number(), pauseMs: z.number(), sentBytes: z.number(), method: z.string() })
export type MoveSample = { readonly clientGapMs: number; readonly pauseMs: number; readonly totalMs: number }

export const migrate = benchOfCases({ name: 'migrate', cases, defaultRuns: 15 }, measure)

async function measure(
  name: string,
  load: (typeof cases)[string],
  { runs, note }: { readonly runs: number; note(line: string): void },
): Promise<readonly Figure[]> {
  await using laboratory = await openLaboratory('bench', ['--hosts', '2'])
  const { address } = await laboratory.deploy(machine, { ha: true, memoryMiB })
  note('brings up the peer virsh-migrate')
  await using peer = await openVirshMigration({ memoryMiB, filledMiB: 0, note })
  for (const one of [address, peer.address]) if (load !== null) await startLoad(one, load)
  const ours: MoveSample[] = []
  const theirs: Omit<MoveSample, 'pauseMs'>[] = []
  for (let run = 1; run <= runs; run += 1) {
    const { clientGapMs, told } = await moveOnce(laboratory, { name: machine, address })
    ours.push({ clientGapMs, ...figuresSchema.parse(told?.detail) })
    note(`gap ${clientGapMs.toFixed(0)} ms, ${told?.message}`)
    if (run % samplesPerPeerSample !== 1) continue
    const sample = await peer.move()
    theirs.push(sample)
    note(`virsh migrate: gap ${sample.clientGapMs.toFixed(0)} ms, total ${sample.totalMs.toFixed(0)} ms`)
  }
  const conditions = `two hosts on one machine, tiny template, ${memoryMiB} MiB, client every 5 ms; both guests run all the time`
  const base = { bench: 'migrate', case: name, unit: 'ms', conditions } as const
  const of = (figure: 'clientGap' | 'total', pick: (sample: Omit<MoveSample, 'pauseMs'>) => number) =>
    figuresWithPeers({ ...base, figure, samples: ours.map(pick) }, new Map([['virsh-migrate', theirs.map(pick)]]))
  return [
    ...of('clientGap', ({ clientGapMs }) => clientGapMs),
    { ...base, figure: 'pause', samples: ours.map(({ pauseMs }) => pauseMs) },
    ...of('total', ({ totalMs }) => totalMs),
  ]
}

async function startLoad(
  address: string,
  { mib, rate }: { readonly mib: number; readonly rate: number },
): Promise<void> {
  const response = await fetch(`http://${address}/load?mib=${mib}&rate=${rate}`, { method: 'POST' })
  if (!response.ok) throw new Error(`the guest at ${address} takes no load: ${response.status}`)
}
