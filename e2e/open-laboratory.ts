/** A laboratory for one test or bench: brought up, asked over the API, and taken down whatever happens. */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { waitForAnswer } from '../src/cli/demo/http-probe.ts'
import { apiContract } from '../src/model/api/contract.ts'
import type { VmView } from '../src/model/api/views.ts'
import { type ContractClient, createContractClient } from '../src/transport/contract-client.ts'

export type OpenLaboratory = AsyncDisposable & {
  readonly name: string
  readonly api: ContractClient<typeof apiContract>
  /** A verb of the laboratory, such as ['power-off', 'h1']. */
  lab(words: readonly string[]): Promise<void>
  /** Makes a VM and waits until it answers over HTTP. */
  deploy(name: string, wishes?: { readonly ha?: boolean }): Promise<VmView>
  untilHostIs(host: string, state: string): Promise<void>
  /** What `status --json` tells: processes and their ids. */
  status(): Promise<z.infer<typeof statusSchema>>
}

const pid = z.number().nullable()
const statusSchema = z.looseObject({
  pids: z.looseObject({ controller: pid }),
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
    api,
    lab: async (words) => void (await laboratory([...words, '--name', name])),
    async deploy(vmName, { ha = false } = {}) {
      const { vm } = await api.call('createVm', { body: { name: vmName, template: 'tiny', ha } })
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
    status: async () => statusSchema.parse(JSON.parse(await laboratory(['status', '--name', name, '--json']))),
    async [Symbol.asyncDispose]() {
      await api.close()
      await laboratory(['down', '--name', name])
    },
  }
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
