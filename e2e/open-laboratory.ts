/** A laboratory for one test or bench: brought up, asked over the API, and taken down whatever happens. */
import { spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { runInGuest } from '../src/agent/hypervisor/qemu/guest-agent.ts'
import { waitForAnswer } from '../src/cli/demo/http-probe.ts'
import { apiContract } from '../src/model/api/contract.ts'
import type { VmView } from '../src/model/api/views.ts'
import { type ContractClient, createContractClient } from '../src/transport/contract-client.ts'

export type OpenLaboratory = AsyncDisposable & {
  readonly name: string
  /** Where its files are. */
  readonly folder: string
  readonly api: ContractClient<typeof apiContract>
  /** A verb of the laboratory, such as ['power-off', 'h1']. */
  lab(words: readonly string[]): Promise<void>
  /** Makes a VM and waits until it answers over HTTP. */
  deploy(name: string, wishes?: Deployment): Promise<VmView>
  /** Everything that a recovery from memory needs stands ready: it serves, image, spare, and with HA the standby. */
  untilReady(name: string): Promise<VmView>
  /** Another process runs it. */
  untilPid(name: string, isNot: number): Promise<VmView>
  untilOn(name: string, host: string): Promise<VmView>
  untilImageIsNot(name: string, imageId: string): Promise<VmView>
  /** Throws when it failed. */
  untilTaskEnds(taskId: string, withinMs?: number): Promise<void>
  untilHostIs(host: string, state: string): Promise<void>
  /** Runs a script in the guest of a machine and gives what it says; its agent comes up after its service. Throws when it fails. */
  inGuest(vm: string, script: string): Promise<string>
  /** What `status --json` tells: processes and their ids. */
  status(): Promise<z.infer<typeof statusSchema>>
}

export type Deployment = {
  readonly ha?: boolean
  readonly recovery?: VmView['recovery']
  readonly memoryMiB?: number
  /** Further disks of 64 MiB. */
  readonly disks?: number
  readonly drillable?: boolean
  /** Instead of the template's readiness check. */
  readonly probe?: VmView['probe']
  readonly host?: string
}

const pid = z.number().nullable()
const statusSchema = z.looseObject({
  pids: z.looseObject({ controller: pid, hardware: pid }),
  hosts: z.array(z.looseObject({ name: z.string(), pids: z.looseObject({ agent: pid, watchdog: pid }) })),
})

const program = join(import.meta.dirname, '../src/laboratory/main.ts')
const home = process.env['DIALTONE_HOME'] ?? '/var/lib/dialtone'

export async function openLaboratory(name: string, options: readonly string[]): Promise<OpenLaboratory> {
  await laboratory(['down', '--name', name])
  await laboratory(['up', '--name', name, ...options])
  const record = z
    .looseObject({ apiUrl: z.string() })
    .parse(JSON.parse(await readFile(join(home, 'labs', name, 'lab.json'), 'utf8')))
  const token = (await readFile(join(home, 'labs', name, 'controller', 'admin-token'), 'utf8')).trim()
  const api = createContractClient(apiContract, { baseUrl: record.apiUrl, token, timeoutMs: 20_000 })
  return {
    name,
    folder: join(home, 'labs', name),
    api,
    lab: async (words) => void (await laboratory([...words, '--name', name])),
    ...waits(api),
    async deploy(vmName, { disks = 0, ...wishes } = {}) {
      const further = Array.from({ length: disks }, () => ({ sizeMiB: 64 }))
      const body = { name: vmName, template: 'tiny', disks: further, ...wishes }
      const { vm } = await api.call('createVm', { body })
      await waitForAnswer({ address: vm.address, name: vmName }, { deadlineMs: 120_000 })
      return api.call('getVm', { params: { vm: vmName } })
    },
    async untilHostIs(host, state) {
      const givesUpAtMs = performance.now() + 60_000
      while ((await api.call('getHost', { params: { host } })).status.state !== state) {
        if (performance.now() > givesUpAtMs) throw new Error(`${host} did not become ${state} within a minute`)
        await delay(100)
      }
    },
    inGuest: (vm, script) => inGuest({ api, folder: join(home, 'labs', name) }, vm, script),
    status: async () => statusSchema.parse(JSON.parse(await laboratory(['status', '--name', name, '--json']))),
    async [Symbol.asyncDispose]() {
      await api.close()
      await laboratory(['down', '--name', name])
    },
  }
}

const guestAnswersWithinMs = 30_000

async function inGuest(
  laboratory: Pick<OpenLaboratory, 'api' | 'folder'>,
  vmName: string,
  script: string,
): Promise<string> {
  const givesUpAtMs = performance.now() + guestAnswersWithinMs
  const run = async (command: string, timeoutMs: number) =>
    runInGuest(await guestAgentOf(laboratory, vmName), ['/bin/sh', '-c', command], timeoutMs)
  // What may be asked again comes first: the script itself is run once, however long it takes.
  for (;;) {
    const isThere = await run('true', 2_000).catch(() => undefined)
    if (isThere?.exitCode === 0) break
    if (performance.now() > givesUpAtMs) throw new Error(`the agent in ${vmName} does not answer`)
    await delay(100)
  }
  const { exitCode, output } = await run(script, 120_000)
  if (exitCode !== 0) throw new Error(`${script} ended with ${exitCode}: ${output}`)
  return output.trimEnd()
}

/** The socket of the machine's present process. */
async function guestAgentOf({ api, folder }: Pick<OpenLaboratory, 'api' | 'folder'>, vmName: string): Promise<string> {
  const { id, hostName, status } = await api.call('getVm', { params: { vm: vmName } })
  const processes = join(folder, 'hosts', hostName ?? 'none', 'run/processes')
  for (const process of await readdir(processes)) {
    const ownPid = await readFile(join(processes, process, 'pid'), 'utf8').catch(() => '')
    if (process.startsWith(id) && Number(ownPid) === status.pid) return join(processes, process, 'agent')
  }
  throw new Error(`${vmName} has no process`)
}

/** Waits for what the API tells. Each gives up after two minutes and says how it was then. */
function waits(api: OpenLaboratory['api']) {
  const until = async (name: string, isSo: (vm: VmView) => boolean): Promise<VmView> => {
    const givesUpAtMs = performance.now() + 120_000
    for (;;) {
      const vm = await api.call('getVm', { params: { vm: name } })
      if (isSo(vm)) return vm
      if (performance.now() > givesUpAtMs)
        throw new Error(`${name} did not become what was waited for: ${JSON.stringify([vm.status, vm.standby])}`)
      await delay(20)
    }
  }
  return {
    untilReady: (name: string) => until(name, isReady),
    untilPid: (name: string, isNot: number) =>
      until(name, ({ status }) => status.state === 'running' && status.pid !== null && status.pid !== isNot),
    untilOn: (name: string, host: string) =>
      until(name, ({ status, hostName }) => status.state === 'running' && hostName === host),
    untilImageIsNot: (name: string, imageId: string) =>
      until(name, ({ status }) => (status.recovery?.image?.imageId ?? imageId) !== imageId),
    async untilTaskEnds(taskId: string, withinMs = 300_000) {
      const givesUpAtMs = performance.now() + withinMs
      for (;;) {
        const task = await api.call('getTask', { params: { task: taskId } })
        if (task.state === 'succeeded') return
        if (task.endedAt !== null)
          throw new Error(`${task.kind} ${task.subject} ${task.state}: ${task.error?.message ?? ''}`)
        if (performance.now() > givesUpAtMs)
          throw new Error(`${task.kind} ${task.subject} did not end: ${task.message}`)
        await delay(50)
      }
    },
  }
}

function isReady({ status, ha, standby, standbyReport }: VmView): boolean {
  const { recovery } = status
  const isHere =
    status.state === 'running' && recovery?.service === 'correct' && recovery.spare === 'ready' && recovery.note === ''
  return isHere && (!ha || (standby?.imageId === recovery.image?.imageId && standbyReport?.state === 'ready'))
}

function laboratory(words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-2000)))
    child.once('error', reject)
    child.once('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`laboratory ${words.join(' ')} ended with ${code}: ${errors}`)),
    )
  })
}
