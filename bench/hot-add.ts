/**
 * Memory, a processor or a disk comes while a machine runs: from the request until its guest is seen to have it, by a client that asks
 * every 5 ms. The peer is virsh with the same guest, in turn with each of ours.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type OpenLaboratory, openLaboratory } from '../e2e/open-laboratory.ts'
import { waitForAnswer } from '../src/cli/demo/http-probe.ts'
import { benchOfCases } from './bench.ts'
import { type Figure, figuresWithPeers } from './figure.ts'
import { type Growth, grown, sizeOfGuest, untilGuestHas } from './grown-guest.ts'
import { openVirshHotAdd } from './peers/libvirt/virsh-hot-add.ts'

const machine = 'bench'
const cases: Readonly<Record<Growth, Growth>> = { memory: 'memory', cpu: 'cpu', disk: 'disk' }
const bootWithinMs = 120_000

export const hotAdd = benchOfCases({ name: 'hot-add', cases, defaultRuns: 10 }, measure)

async function measure(
  name: string,
  growth: Growth,
  { runs, note }: { readonly runs: number; note(line: string): void },
): Promise<readonly Figure[]> {
  await using laboratory = await openLaboratory('bench', ['--hosts', '1'])
  await laboratory.deploy(machine, { memoryMiB: grown.before.memoryMiB })
  note('brings up the peer virsh')
  await using peer = await openVirshHotAdd(note)
  const [ours, theirs]: [number[], number[]] = [[], []]
  for (let run = 1; run <= runs; run += 1) {
    ours.push(await growOnce(laboratory, growth))
    theirs.push(await peer.sample(growth))
    note(`hot-add ${name} ${run}/${runs}: ${ours.at(-1)?.toFixed(0)} ms, virsh ${theirs.at(-1)?.toFixed(0)} ms`)
  }
  const conditions = `tiny template, ${grown.before.memoryMiB} MiB to ${grown.memoryMiB} MiB, one processor to ${grown.cpus}, or a disk of ${grown.diskMiB} MiB; each on a fresh boot`
  const figure = { bench: 'hot-add', case: name, figure: 'visible', unit: 'ms', samples: ours, conditions } as const
  return figuresWithPeers(figure, new Map([['virsh', theirs]]))
}

/** On a fresh boot: what came before is gone, and nothing of it is warm. */
async function growOnce({ api, untilTaskEnds }: OpenLaboratory, growth: Growth): Promise<number> {
  const params = { vm: machine }
  await untilTaskEnds((await api.call('killVm', { params })).task.id)
  const { disks } = await api.call('getVm', { params })
  for (const { volumeId: disk } of disks.slice(1))
    await untilTaskEnds(
      (await api.call('detachDisk', { params: { vm: machine, disk }, query: { delete: 'true' } })).task.id,
    )
  await api.call('changeVm', { params, body: { ...grown.before } })
  await untilTaskEnds((await api.call('startVm', { params })).task.id)
  const { address } = await api.call('getVm', { params })
  await waitForAnswer({ address, name: machine }, { deadlineMs: bootWithinMs })
  // Whoever brings it about has finished with its start.
  await untilFitted(api)
  const before = await sizeOfGuest(address)
  const fromMs = performance.now()
  await ask(api, growth)
  return (await untilGuestHas(address, growth, before)) - fromMs
}

async function ask(api: OpenLaboratory['api'], growth: Growth): Promise<void> {
  const params = { vm: machine }
  if (growth === 'disk') await api.call('attachDisk', { params, body: { sizeMiB: grown.diskMiB } })
  else
    await api.call('changeVm', {
      params,
      body: growth === 'cpu' ? { cpus: grown.cpus } : { memoryMiB: grown.memoryMiB },
    })
}

async function untilFitted(api: OpenLaboratory['api']): Promise<void> {
  const givesUpAtMs = performance.now() + bootWithinMs
  for (;;) {
    const { status, pending } = await api.call('getVm', { params: { vm: machine } })
    if (status.state === 'running' && (status.hardware ?? null) !== null && pending.length === 0) return
    if (performance.now() > givesUpAtMs)
      throw new Error(`${machine} is not as it is wanted: ${JSON.stringify(pending)}`)
    await delay(50)
  }
}
