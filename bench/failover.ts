/**
 * A host's power is cut: how long until it is proven dead, and until its machine answers from another host: by booting, and from memory, with
 * its image in the page cache there and evicted from it.
 */
import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type OpenLaboratory, openLaboratory } from '../e2e/open-laboratory.ts'
import type { EventView, VmView } from '../src/model/api/views.ts'
import { benchOfCases } from './bench.ts'
import { type Figure, figuresWithPeers } from './figure.ts'
import { createOutsideClient, type HttpAnswer, type OutsideClient } from './peers/outside-client.ts'
import { pacemaker } from './peers/pacemaker/pacemaker-peer.ts'
import type { OpenPeer } from './peers/peer.ts'

const machine = 'bench'
const answerWithinMs = 120_000
const samplesPerPeerSample = 5

type Case = {
  readonly options: readonly string[]
  readonly recovery: VmView['recovery']
  readonly isEvicted?: boolean
  readonly hasPeer?: boolean
}

const boot = { mode: 'boot' } as const
const warm = { mode: 'warm' } as const
const cases: Readonly<Record<string, Case>> = {
  'lease-boot': { options: [], recovery: boot },
  'power-boot': { options: ['--power-fence'], recovery: boot },
  'power-warm': { options: ['--power-fence'], recovery: warm, hasPeer: true },
  'lease-warm': { options: [], recovery: warm },
  'lease-warm-evicted': { options: ['--memory-images', 'disk'], recovery: warm, isEvicted: true },
}

type Sample = { readonly provedMs: number; readonly answeredMs: number }

export const failover = benchOfCases({ name: 'failover', cases, defaultRuns: 15 }, measure)

async function measure(
  name: string,
  one: Case,
  { runs, note }: { readonly runs: number; note(line: string): void },
): Promise<readonly Figure[]> {
  await using laboratory = await openLaboratory('bench', ['--post-delay', '500', ...one.options])
  await using peer = one.hasPeer === true ? await pacemaker.open({ memoryMiB: 128, filledMiB: 0, note }) : undefined
  const vm = await laboratory.deploy(machine, { ha: true, recovery: one.recovery })
  using client = clientOf(vm)
  const samples: Sample[] = []
  const peerSamples: number[] = []
  for (let run = 1; run <= runs; run += 1) {
    samples.push(await loseHost(laboratory, one, client))
    const { provedMs = 0, answeredMs = 0 } = samples.at(-1) ?? {}
    note(`${name} ${run}/${runs}: proved ${Math.round(provedMs)} ms, answered ${Math.round(answeredMs)} ms`)
    if (peer !== undefined && run % samplesPerPeerSample === 1) peerSamples.push(await peerSample(peer, note))
  }
  const common = {
    bench: 'failover',
    case: name,
    unit: 'ms',
    conditions: `three hosts on one machine, tiny template, 128 MiB, default times, ${one.recovery.mode} recovery`,
  } as const
  const answered = { ...common, figure: 'answered', samples: samples.map(({ answeredMs }) => answeredMs) }
  const peers = new Map(peer === undefined ? [] : [['pacemaker', peerSamples]])
  return [
    { ...common, figure: 'proved', samples: samples.map(({ provedMs }) => provedMs) },
    ...figuresWithPeers(answered, peers),
  ]
}

async function peerSample(peer: OpenPeer, note: (line: string) => void): Promise<number> {
  const tookMs = await peer.sample()
  note(`pacemaker: ${Math.round(tookMs)} ms`)
  return tookMs
}

/** Cuts the power of the machine's host, measures, and brings the host back for the next run. */
async function loseHost(laboratory: OpenLaboratory, one: Case, client: OutsideClient): Promise<Sample> {
  const { api } = laboratory
  const isWarm = one.recovery.mode === 'warm'
  const vm = isWarm ? await laboratory.untilReady(machine) : await api.call('getVm', { params: { vm: machine } })
  const host = vm.hostName
  if (host === null) throw new Error(`${machine} is on no host before the run`)
  if (one.isEvicted === true) await evictImages(laboratory, vm.standbyHostName ?? '')
  const ending = new AbortController()
  const events: EventView[] = []
  const collecting = collect(api.events('watchEvents', {}, { signal: ending.signal }), events)
  await delay(200)
  const { events: earlier } = await api.call('listEvents', { query: { limit: 1 } })
  const since = earlier.at(-1)?.revision ?? 0
  const bootBefore = bootIdIn(client.lastCorrectBefore(performance.now()))
  const killedAtMs = performance.now()
  const killedAt = Date.now()
  await laboratory.lab(['power-off', host])
  const deadAtMs = performance.now()
  // The board cuts the link first: what answers a question that was asked after its word is another life.
  const isCorrect = (answer: HttpAnswer) => isWarm || bootIdIn(answer) !== bootBefore
  const answer = await client.untilCorrectAfter(deadAtMs, { deadlineMs: answerWithinMs, isCorrect })
  if (isWarm && bootIdIn(answer) !== bootBefore) throw new Error(`${machine} booted instead of resuming`)
  ending.abort()
  await collecting
  const proved = events.find(
    ({ kind, subject, revision }) => kind === 'host.fenced' && subject === host && revision > since,
  )
  if (proved === undefined) throw new Error('the event stream told of no proof')
  await laboratory.lab(['power-on', host])
  await laboratory.untilHostIs(host, 'online')
  await delay(1500)
  return { provedMs: Date.parse(proved.at) - killedAt, answeredMs: answer.answeredAtMs - killedAtMs }
}

function clientOf(vm: VmView): OutsideClient {
  const isCorrect = ({ status, body }: HttpAnswer) => status === 200 && body.includes(`"name":"${vm.name}"`)
  return createOutsideClient({ address: vm.address, port: 80, path: '/', everyMs: 5, isCorrect })
}

function bootIdIn(answer: HttpAnswer | undefined): string | undefined {
  return /"bootId":"([^"]+)"/.exec(answer?.body ?? '')?.[1]
}

/** Drops the images of that host from the page cache: what is mapped by a waiting process stays only as far as that one has touched it. */
async function evictImages(laboratory: OpenLaboratory, host: string): Promise<void> {
  const folder = join(laboratory.folder, 'hosts', host, 'memory', 'images')
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    await new Promise<void>((resolve, reject) => {
      const child = spawn('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none'], { stdio: 'ignore' })
      child.once('error', reject)
      child.once('close', () => resolve())
    })
  }
}

async function collect(stream: AsyncIterable<{ readonly data: EventView }>, into: EventView[]): Promise<void> {
  for await (const { data } of stream) into.push(data)
}
