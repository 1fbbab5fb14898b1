/** The scenes of the demonstration. Each does something real to the cloud and tells what it saw, with the time of each part. */
import { setTimeout as delay } from 'node:timers/promises'
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

/** Deploys these machines from the built-in template and waits until each answers HTTP. */
export async function deployMachines(stage: Stage, names: readonly string[]): Promise<SceneResult> {
  const startedAtMs = performance.now()
  const parts = await Promise.all(
    names.map(async (name) => {
      const { vm } = await stage.api.call('createVm', { body: { name, template: 'tiny', ha: true } })
      const { answer, atMs } = await waitForAnswer({ address: vm.address, name }, { deadlineMs: bootDeadlineMs })
      const placed = await stage.api.call('getVm', { params: { vm: name } })
      stage.say(`${name} runs on ${placed.hostName} and answers at http://${vm.address}/ (boot ${answer.boots})`)
      return { name, tookMs: atMs - startedAtMs }
    }),
  )
  const totalMs = Math.max(...parts.map((part) => part.tookMs))
  return { title: `${names.length} machines deployed`, outcome: `${names.join(' and ')} answer HTTP`, parts, totalMs }
}

/** Kills the machine's QEMU with SIGKILL; its host starts it again on the spot. */
export async function killProcess(stage: Stage, name: string): Promise<SceneResult> {
  const { vm, before } = await answeringMachine(stage, name)
  const { pid } = vm.status
  if (pid === null) throw new Error(`${name} has no process`)
  stage.say(`kill -9 ${pid} (the QEMU of ${name} on ${vm.hostName})`)
  const killedAtMs = performance.now()
  process.kill(pid, 'SIGKILL')
  const restarted = await waitForVm(
    stage,
    name,
    (view) => view.status.state === 'running' && view.status.pid !== null && view.status.pid !== pid,
  )
  const restartedAtMs = performance.now()
  const { atMs } = await waitForAnswer(
    { address: vm.address, name },
    { deadlineMs: bootDeadlineMs, isRight: isNewBoot(before) },
  )
  stage.say(
    `${name} answers again from ${restarted.hostName}: epoch ${restarted.status.epoch}, incarnation ${restarted.status.incarnation}`,
  )
  return {
    title: `QEMU of ${name} killed`,
    outcome: `restarted on the spot, on ${restarted.hostName}`,
    parts: [
      { name: 'running again', tookMs: restartedAtMs - killedAtMs },
      { name: 'guest boots', tookMs: Math.max(0, atMs - restartedAtMs) },
    ],
    totalMs: atMs - killedAtMs,
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
  const { atMs } = await waitForAnswer(
    { address: vm.address, name },
    { deadlineMs: bootDeadlineMs, isRight: isNewBoot(before) },
  )
  const moved = await stage.api.call('getVm', { params: { vm: name } })
  const events = timeline.stop()
  const answeredAt = killedAt + (atMs - killedAtMs)
  const suspectAt = timeOf(events, 'host.suspect', host)
  const provedAt = timeOf(events, 'host.fenced', host)
  stage.say(`${name} answers again from ${moved.hostName}; the proof: ${moved.proofSentence ?? 'none was needed'}`)
  return {
    title: `host ${host} killed`,
    outcome: `${name} runs on ${moved.hostName}, epoch ${moved.status.epoch}`,
    parts: [
      { name: 'suspected', tookMs: suspectAt - killedAt },
      { name: 'proven dead', tookMs: provedAt - suspectAt },
      { name: 'started and booted', tookMs: answeredAt - provedAt },
    ],
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
