/**
 * A machine's QEMU is killed: how long until an outside client that asks every 5 ms gets its first correct answer. Dialtone resumes it from
 * memory; the peers boot it, or read their image of its memory. Samples of both are taken in turn.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { type OpenLaboratory, openLaboratory } from '../e2e/open-laboratory.ts'
import type { VmView } from '../src/model/api/views.ts'
import type { OutageParts } from '../src/model/ledger/outage.ts'
import { probeSchema } from '../src/model/recovery/probe.ts'
import { benchOfCases } from './bench.ts'
import { type Figure, figuresWithPeers } from './figure.ts'
import { virshRestore, virshStart } from './peers/libvirt/virsh-peers.ts'
import { createOutsideClient, type HttpAnswer, type OutsideClient } from './peers/outside-client.ts'
import type { OpenPeer, Peer, PeerOptions } from './peers/peer.ts'

const machine = 'bench'
const conditions =
  'two hosts on one machine, tiny template, a spare process ready; client every 5 ms, asking what the probe asks'
/** So many of Dialtone's samples are taken for one of a peer, which takes seconds. */
const samplesPerPeerSample = 10
const recoverWithinMs = 60_000
const quietMs = 600
/** Where the time goes, by the ledger; `serveMs` ends at the first answer that the host's own probe got. */
const partNames = ['detectMs', 'decideMs', 'startMs', 'serveMs'] as const
type PartName = (typeof partNames)[number]
type Recovery = { readonly answeredMs: number; readonly parts: OutageParts }

type Case = {
  readonly memoryMiB: number
  readonly filledMiB: number
  readonly disks: number
  readonly peers: readonly Peer[]
}

const cases: Readonly<Record<string, Case>> = {
  'warm-128': { memoryMiB: 128, filledMiB: 0, disks: 0, peers: [virshStart, virshRestore] },
  'warm-512': { memoryMiB: 512, filledMiB: 300, disks: 0, peers: [virshStart, virshRestore] },
  'warm-2048': { memoryMiB: 2048, filledMiB: 1536, disks: 0, peers: [virshStart, virshRestore] },
  'warm-512-data': { memoryMiB: 512, filledMiB: 300, disks: 1, peers: [] },
}

export const recover = benchOfCases({ name: 'recover', cases, defaultRuns: 200 }, measure)

async function measure(
  name: string,
  { memoryMiB, filledMiB, disks, peers }: Case,
  { runs, note }: { readonly runs: number; note(line: string): void },
): Promise<readonly Figure[]> {
  await using laboratory = await openLaboratory('bench', ['--hosts', '2'])
  const path = disks > 0 ? '/volumes' : '/'
  const probe = probeSchema.parse({ check: { kind: 'http', port: 80, path } })
  await laboratory.deploy(machine, { ha: true, recovery: { mode: 'warm' }, memoryMiB, disks, drillable: true, probe })
  await laboratory.untilReady(machine)
  const vm = await laboratory.api.call('getVm', { params: { vm: machine } })
  if (filledMiB > 0) await fill(laboratory, vm, filledMiB)
  using client = clientOf(vm, path)
  const samples: number[] = []
  const parts = new Map<PartName, number[]>()
  const peerSamples = new Map<string, number[]>()
  await using openPeers = await openAll(peers, { memoryMiB, filledMiB, note })
  for (let run = 1; run <= runs; run += 1) {
    const recovery = await killOnce(laboratory, client)
    samples.push(recovery.answeredMs)
    for (const part of partNames) parts.set(part, [...(parts.get(part) ?? []), recovery.parts[part] ?? Number.NaN])
    note(`${name} ${run}/${runs}: ${recovery.answeredMs.toFixed(1)} ms, of it ${describeParts(recovery.parts)}`)
    if (run % samplesPerPeerSample !== 1) continue
    for (const { name: peer, open } of openPeers.all) {
      const tookMs = await open.sample()
      peerSamples.set(peer, [...(peerSamples.get(peer) ?? []), tookMs])
      note(`${peer}: ${tookMs.toFixed(0)} ms`)
    }
  }
  const figure = { bench: 'recover', case: name, figure: 'answered', unit: 'ms', samples, conditions } as const
  const profile = partNames.map((part): Figure => ({ ...figure, figure: part, samples: parts.get(part) ?? [] }))
  return [...figuresWithPeers(figure, peerSamples), ...profile]
}

function describeParts(parts: OutageParts): string {
  return partNames.map((part) => `${part} ${parts[part]?.toFixed(0) ?? 'not known'}`).join(', ')
}

/**
 * From the kill to the first correct answer; then waits until the next failure would find everything ready. The kill is a drill, so that it
 * doesn't count among the machine's failures; the ledger says when the agent sent SIGKILL, by the clock that this process reads too.
 */
async function killOnce({ api, untilTaskEnds, untilReady }: OpenLaboratory, client: OutsideClient): Promise<Recovery> {
  const { task } = await api.call('drillVm', { params: { vm: machine }, body: { kind: 'kill-qemu' } })
  // Whoever asks how it goes takes the processors from what is measured.
  await delay(quietMs)
  await untilTaskEnds(task.id)
  const { outages } = await api.call('listOutages', { query: { drill: task.id } })
  const [outage] = outages
  if (outage === undefined) throw new Error('the ledger has no outage of this drill')
  const killedAt = Date.parse(outage.beganAt)
  const killedAtMs = performance.now() - (Date.now() - killedAt)
  const answer = await client.untilCorrectAfter(killedAtMs, { deadlineMs: recoverWithinMs })
  await untilReady(machine)
  await delay(300)
  return { answeredMs: answer.answeredAtMs - killedAtMs, parts: outage.parts }
}

/** Writes so much of the guest's memory, and captures it as it is then. */
async function fill(laboratory: OpenLaboratory, vm: VmView, filledMiB: number): Promise<void> {
  await fetch(`http://${vm.address}/load?mib=${filledMiB}&rate=1`, { method: 'POST' })
  const loadSchema = z.looseObject({ dirtiedPages: z.number() })
  for (let look = 0; look < 600; look += 1) {
    const load = loadSchema.parse(await (await fetch(`http://${vm.address}/load`)).json())
    if (load.dirtiedPages > 0) break
    await delay(100)
  }
  const before = (await laboratory.api.call('getVm', { params: { vm: machine } })).status.recovery?.image?.imageId ?? ''
  const { task } = await laboratory.api.call('warmVm', { params: { vm: machine } })
  await laboratory.untilTaskEnds(task.id)
  await laboratory.untilImageIsNot(machine, before)
  await laboratory.untilReady(machine)
}

function clientOf(vm: VmView, path: string): OutsideClient {
  const isCorrect = ({ status, body }: HttpAnswer) =>
    status === 200 && (path === '/' ? body.includes(`"name":"${vm.name}"`) : /"count":\d/.test(body))
  return createOutsideClient({ address: vm.address, port: 80, path, everyMs: 5, isCorrect })
}

type OpenPeers = AsyncDisposable & { readonly all: readonly { readonly name: string; readonly open: OpenPeer }[] }

async function openAll(peers: readonly Peer[], options: PeerOptions): Promise<OpenPeers> {
  await using stack = new AsyncDisposableStack()
  const all: { readonly name: string; readonly open: OpenPeer }[] = []
  for (const peer of peers) {
    options.note(`brings up the peer ${peer.name}`)
    all.push({ name: peer.name, open: stack.use(await peer.open(options)) })
  }
  const kept = stack.move()
  return { all, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}
