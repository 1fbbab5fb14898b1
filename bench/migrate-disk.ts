/**
 * A machine moves to another host while it runs, with disks that only its host has: the longest time between two correct answers to an
 * outside client that asks every 5 ms (clientGap), and the whole move (total), by its own account. The peer is virsh migrate
 * --copy-storage-all between two hosts that share nothing, with the same guest, data and client; samples of both are taken in turn.
 */
import { randomBytes } from 'node:crypto'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { type OpenLaboratory, openLaboratory } from '../e2e/open-laboratory.ts'
import { waitForAnswer } from '../src/cli/demo/http-probe.ts'
import { benchOfCases } from './bench.ts'
import { type Figure, figuresWithPeers } from './figure.ts'
import { moveOnce } from './move-once.ts'
import { openVirshDiskMigration } from './peers/libvirt/virsh-disk-migration.ts'

const machine = 'bench'
const memoryMiB = 256

/** What is on its second disk: MiB. */
const cases: Readonly<Record<string, number>> = { 'data-256': 256 }

const figuresSchema = z.object({ totalMs: z.number() })
type DiskMoveSample = { readonly clientGapMs: number; readonly totalMs: number }

export const migrateDisk = benchOfCases({ name: 'migrate-disk', cases, defaultRuns: 7 }, measure)

async function measure(
  name: string,
  dataMiB: number,
  { runs, note }: { readonly runs: number; note(line: string): void },
): Promise<readonly Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'dialtone-bench-'))
  await using undo = new AsyncDisposableStack()
  undo.defer(() => rm(folder, { recursive: true, force: true }))
  const data = join(folder, 'data.raw')
  await writeFile(data, randomBytes(dataMiB * 2 ** 20))
  const laboratory = undo.use(await openLaboratory('bench', ['--hosts', '2']))
  const address = await deploy(laboratory, { data, dataMiB })
  note('brings up the peer virsh-copy-storage')
  const peer = undo.use(await openVirshDiskMigration({ memoryMiB, note, data, dataMiB }))
  const ours: DiskMoveSample[] = []
  const theirs: DiskMoveSample[] = []
  for (let run = 1; run <= runs; run += 1) {
    const { clientGapMs, told } = await moveOnce(laboratory, { name: machine, address })
    const sample = { clientGapMs, ...figuresSchema.parse(told?.detail) }
    const other = await peer.move()
    ours.push(sample)
    theirs.push(other)
    note(`gap ${sample.clientGapMs.toFixed(0)} ms, total ${sample.totalMs.toFixed(0)} ms`)
    note(`virsh migrate: gap ${other.clientGapMs.toFixed(0)} ms, total ${other.totalMs.toFixed(0)} ms`)
  }
  const conditions = `two hosts on one machine, tiny template, ${memoryMiB} MiB, ${dataMiB} MiB of data on a local disk, client every 5 ms; both guests run all the time`
  const base = { bench: 'migrate-disk', case: name, unit: 'ms', conditions } as const
  const of = (figure: 'clientGap' | 'total', pick: (sample: DiskMoveSample) => number) =>
    figuresWithPeers({ ...base, figure, samples: ours.map(pick) }, new Map([['virsh-copy-storage', theirs.map(pick)]]))
  return [...of('clientGap', ({ clientGapMs }) => clientGapMs), ...of('total', ({ totalMs }) => totalMs)]
}

async function deploy(
  { api, untilTaskEnds }: OpenLaboratory,
  { data, dataMiB }: { readonly data: string; readonly dataMiB: number },
): Promise<string> {
  const disks = [{ sizeMiB: dataMiB, format: 'raw' as const }]
  const body = { name: machine, template: 'tiny', memoryMiB, storage: 'local', host: 'h1', disks, start: false }
  const { vm, task } = await api.call('createVm', { body })
  await untilTaskEnds(task.id)
  const { storages } = await api.call('listStorages', {})
  const { volumeId = '', storageId } = vm.disks[1] ?? {}
  const path = storages.find(({ id }) => id === storageId)?.path ?? ''
  await copyFile(data, join(path, 'volumes', volumeId, 'disk.raw'))
  await api.call('startVm', { params: { vm: machine }, body: {} })
  await waitForAnswer({ address: vm.address, name: machine }, { deadlineMs: 120_000 })
  return vm.address
}
