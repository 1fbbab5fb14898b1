/** The scenes of the demonstration. Each does something real to the cloud and tells what it saw, with the time of each part. */
import { setTimeout as delay } from 'node:timers/promises'
import type { OutageView } from '../../model/api/ledger-routes.ts'
import type { EventView, VmView } from '../../model/api/views.ts'
import { runLaboratory } from '../laboratory-commands.ts'
import type { Api } from '../session.ts'
import { type ProbeAnswer, waitForAnswer } from './http-probe.ts'

export type Part = { readonly name: string; readonly tookMs: number }
export type SceneResult = {
  readonly title: string
  readonly outcome: string
  readonly parts: readonly Part[]
  readonly totalMs: number
}

export type Stage = {
  readonly api: Api
  readonly laboratory: string
  say(line: string): void
}

const bootDeadlineMs = 120_000

export type Deployment = { readonly name: string; readonly recovery: VmView['recovery'] }

/** Deploys these machines from the built-in template and waits until each answers HTTP. */
export async function deployMachines(stage: Stage, machines: readonly Deployment[]): Promise<SceneResult> {
  const startedAtMs = performance.now()
  const parts = await Promise.all(
    machines.map(async ({ name, recovery }) => {
      const { vm } = await stage.api.call('createVm', { body: { name, template: 'tiny', ha: true, recovery } })
      const { answer, atMs } = await waitForAnswer({ address: vm.address, name }, { deadlineMs: bootDeadlineMs })
      const placed = await stage.api.call('getVm', { params: { vm: name } })
      stage.say(
        `${name} (recovery: ${recovery.mode}) runs on ${placed.hostName} and answers at http://${vm.address}/ (boot ${answer.boots})`,
      )
      return { name, tookMs: atMs - startedAtMs }
    }),
  )
  const totalMs = Math.max(...parts.map((part) => part.tookMs))
  const names = machines.map(({ name }) => name).join(' and ')
  return { title: `${machines.length} machines deployed`, outcome: `${names} answer HTTP`, parts, totalMs }
}

/** Waits until the machine's memory is captured, and the image stands ready here and on the host that would take it over. */
export async function awaitImage(stage: Stage, name: string): Promise<SceneResult> {
  const startedAtMs = performance.now()
  const vm = await waitForVm(
    stage,
    name,
    ({ status, standbyReport }) => status.recovery?.spare === 'ready' && standbyReport?.state === 'ready',
  )
  const image = vm.status.recovery?.image
  const pause = image?.pauseMs.toFixed(0) ?? '?'
  stage.say(`${image?.sizeMiB} MiB of memory captured while ${name} ran on; it stood still for ${pause} ms`)
  stage.say(`a process waits on ${vm.hostName}, and another one on ${vm.standbyHostName}, should ${vm.hostName} die`)
  const totalMs = performance.now() - startedAtMs
  return { title: `memory of ${name} captured`, outcome: `pause ${pause} ms`, parts: [], totalMs }
}

/** Kills the QEMU of each with SIGKILL, one after the other, and shows both recoveries side by side. */
export async function killProcesses(stage: Stage, names: readonly string[]): Promise<readonly SceneResult[]> {
  const results: SceneResult[] = []
  for (const name of names) results.push(await killProcess(stage, name))
  const longestMs = Math.max(...results.map(({ totalMs }) => totalMs))
  for (const { title, outcome, parts, totalMs } of results) {
    stage.say(`${title}: ${outcome}, away for ${duration(totalMs)}`)
    for (const line of bars(parts, longestMs)) stage.say(line)
  }
  return results
}

async function killProcess(stage: Stage, name: string): Promise<SceneResult> {
  const { vm, before } = await answeringMachine(stage, name)
  const { pid } = vm.status
  if (pid === null) throw new Error(`${name} has no process`)
  stage.say(`kill -9 ${pid} (the QEMU of ${name} on ${vm.hostName})`)
  const killedAt = Date.now()
  const killedAtMs = performance.now()
  process.kill(pid, 'SIGKILL')
  const isRight = vm.recovery.mode === 'boot' ? isNewBoot(before) : isSameBoot(before)
  const { atMs } = await waitForAnswer({ address: vm.address, name }, { deadlineMs: bootDeadlineMs, isRight })
  const totalMs = atMs - killedAtMs
  const outage = await findOutage(stage, { service: vm.id, sinceMs: killedAt - 1000 })
  return {
    title: `QEMU of ${name} killed`,
    outcome: vm.recovery.mode === 'boot' ? 'booted again' : 'resumed from memory, as itself',
    parts: partsOf(outage, totalMs),
    totalMs,
  }
}

/** Cuts the power of the host that the machine is on; another host takes it over, on a proof that the old one is dead. */
export async function killHost(stage: Stage, name: string): Promise<SceneResult> {
  const { vm, before } = await answeringMachine(stage, name)
  const host = vm.hostName ?? ''
  const timeline = collectEvents(stage.api)
  await delay(100)
  stage.say(`cuts the power of ${host}, where ${name} runs`)
  const killedAt = Date.now()
  const killedAtMs = performance.now()
  await laboratory(stage, ['power-off', host])
  const isRight = vm.recovery.mode === 'boot' ? isNewBoot(before) : isSameBoot(before)
  const cutAtMs = performance.now()
  const { atMs } = await waitForAnswer({ address: vm.address, name }, { deadlineMs: bootDeadlineMs, isRight })
  if (atMs < cutAtMs) throw new Error(`${name} never ceased to answer`)
  const moved = await stage.api.call('getVm', { params: { vm: name } })
  const events = timeline.stop()
  const answeredAt = killedAt + (atMs - killedAtMs)
  const suspectAt = timeOf(events, 'host.suspect', host)
  const provedAt = timeOf(events, 'host.fenced', host)
  stage.say(`${name} answers again from ${moved.hostName}; the proof: ${moved.proofSentence ?? 'none was needed'}`)
  const parts = [
    { name: 'suspected', tookMs: suspectAt - killedAt },
    { name: 'proven dead', tookMs: provedAt - suspectAt },
    { name: vm.recovery.mode === 'boot' ? 'started and booted' : 'resumed from memory', tookMs: answeredAt - provedAt },
  ]
  for (const line of bars(parts, atMs - killedAtMs)) stage.say(line)
  return {
    title: `host ${host} killed`,
    outcome: `${name} runs on ${moved.hostName}, epoch ${moved.status.epoch}`,
    parts,
    totalMs: atMs - killedAtMs,
  }
}

/** Switches the dead host on again: it must not start what now runs elsewhere. */
export async function bringHostBack(
  stage: Stage,
  { host, name }: { readonly host: string; readonly name: string },
): Promise<SceneResult> {
  const { vm: before } = await answeringMachine(stage, name)
  const startedAtMs = performance.now()
  await laboratory(stage, ['power-on', host])
  for (;;) {
    const view = await stage.api.call('getHost', { params: { host } })
    if (view.status.state === 'online') break
    if (performance.now() - startedAtMs > 60_000) throw new Error(`${host} did not come back within a minute`)
    await delay(100)
  }
  const backAtMs = performance.now()
  await delay(1000)
  const { findings } = await stage.api.call('doctor', {}, { timeoutMs: 20_000 })
  const after = await stage.api.call('getVm', { params: { vm: name } })
  const isUntouched = after.hostName === before.hostName && after.status.epoch === before.status.epoch
  if (!isUntouched)
    throw new Error(`${name} moved from ${before.hostName} to ${after.hostName} although nothing was wrong with it`)
  for (const finding of findings) stage.say(`doctor: ${finding.invariant}: ${finding.message}`)
  stage.say(
    `${host} is back; ${name} stays on ${after.hostName}; the doctor finds ${findings.length === 0 ? 'nothing wrong' : `${findings.length} things`}`,
  )
  return {
    title: `host ${host} back`,
    outcome: `started nothing; ${name} stays on ${after.hostName}`,
    parts: [{ name: 'online again', tookMs: backAtMs - startedAtMs }],
    totalMs: backAtMs - startedAtMs,
  }
}

async function answeringMachine(
  stage: Stage,
  name: string,
): Promise<{ readonly vm: VmView; readonly before: ProbeAnswer }> {
  const vm = await stage.api.call('getVm', { params: { vm: name } })
  const { answer } = await waitForAnswer({ address: vm.address, name }, { deadlineMs: bootDeadlineMs })
  return { vm, before: answer }
}

function isNewBoot(before: ProbeAnswer): (answer: ProbeAnswer) => boolean {
  return (answer) => answer.bootId !== before.bootId
}

function isSameBoot(before: ProbeAnswer): (answer: ProbeAnswer) => boolean {
  return (answer) => answer.bootId === before.bootId
}

/** The ledger's newest outage of a service; it is entered some moments after the machine answers. */
async function findOutage(
  { api }: Stage,
  { service, sinceMs }: { readonly service: string; readonly sinceMs: number },
): Promise<OutageView | undefined> {
  for (let look = 0; look < 100; look += 1) {
    const { outages } = await api.call('listOutages', { query: { service, drills: 'none' } })
    const found = outages.find(({ beganAt, endedBy }) => endedBy === 'answer' && Date.parse(beganAt) >= sinceMs)
    if (found !== undefined) return found
    await delay(50)
  }
  return undefined
}

/** The parts of an outage as the ledger knows them; the rest is what the client saw beyond that. */
function partsOf(outage: OutageView | undefined, totalMs: number): readonly Part[] {
  const known = [
    { name: 'detected', tookMs: outage?.parts.detectMs ?? 0 },
    { name: 'decided', tookMs: outage?.parts.decideMs ?? 0 },
    { name: 'started', tookMs: outage?.parts.startMs ?? 0 },
    { name: 'serving', tookMs: outage?.parts.serveMs ?? 0 },
  ].filter(({ tookMs }) => tookMs > 0)
  const restMs = totalMs - known.reduce((sum, { tookMs }) => sum + tookMs, 0)
  return restMs > 0 ? [...known, { name: 'seen by the client', tookMs: restMs }] : known
}

const barWidth = 40

/** One bar a part, each where the one before it ended. */
function bars(parts: readonly Part[], longestMs: number): readonly string[] {
  let beforeMs = 0
  return parts.map(({ name, tookMs }) => {
    const begin = Math.round((beforeMs / longestMs) * barWidth)
    beforeMs += tookMs
    const end = Math.max(begin + 1, Math.round((beforeMs / longestMs) * barWidth))
    return `  ${name.padEnd(20)} ${duration(tookMs).padStart(8)}  ${' '.repeat(begin)}${'█'.repeat(end - begin)}`
  })
}

function duration(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`
}

async function waitForVm(stage: Stage, name: string, isRight: (vm: VmView) => boolean): Promise<VmView> {
  const givesUpAtMs = performance.now() + bootDeadlineMs
  for (;;) {
    const vm = await stage.api.call('getVm', { params: { vm: name } })
    if (isRight(vm)) return vm
    if (performance.now() > givesUpAtMs) throw new Error(`${name} is ${vm.status.state}: ${vm.status.detail}`)
    await delay(20)
  }
}

async function laboratory(stage: Stage, words: readonly string[]): Promise<void> {
  const code = await runLaboratory([...words, '--name', stage.laboratory], undefined)
  if (code !== 0) throw new Error(`dialtone lab ${words.join(' ')} failed with ${code}`)
}

function collectEvents(api: Api): { stop(): readonly EventView[] } {
  const events: EventView[] = []
  const ending = new AbortController()
  const collect = async () => {
    for await (const event of api.events('watchEvents', {}, { signal: ending.signal })) events.push(event.data)
  }
  void collect().catch(() => undefined)
  return {
    stop() {
      ending.abort()
      return events
    },
  }
}

function timeOf(events: readonly EventView[], kind: string, subject: string): number {
  const event = events.find((one) => one.kind === kind && one.subject === subject)
  if (event === undefined) throw new Error(`the event stream told nothing of ${kind} for ${subject}`)
  return Date.parse(event.at)
}
