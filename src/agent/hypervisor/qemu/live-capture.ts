/** Whether QEMU, unprivileged as machines run, can capture memory live here: by asking one. */
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import type { HypervisorFacts } from '../hypervisor.ts'

const setting = '/proc/sys/vm/unprivileged_userfaultfd'
const nobody = 65534
const askTimeoutMs = 5000

const answerSchema = z.object({ id: z.literal('capability'), error: z.object({ desc: z.string() }).optional() })

export async function probeLiveCapture(binary: string): Promise<HypervisorFacts['liveCapture']> {
  // Each QEMU needs it and none has a privilege. Nobody else runs programs on a host for virtual machines, who could misuse it.
  await writeFile(setting, '1').catch(() => undefined)
  const refusal = await askQemu(binary)
  if (refusal === undefined) return { isPossible: true, reason: 'QEMU can protect the memory of a running machine' }
  const reason = `QEMU cannot protect the memory of a running machine (${refusal}); vm.unprivileged_userfaultfd must be 1`
  return { isPossible: false, reason }
}

/** Why not; undefined when it can. */
async function askQemu(binary: string): Promise<string | undefined> {
  const args = ['-machine', 'none', '-nodefaults', '-no-user-config', '-display', 'none', '-qmp', 'stdio']
  const qemu = spawn(binary, [...args, '-runas', `${nobody}:${nobody}`], {
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: askTimeoutMs,
    killSignal: 'SIGKILL',
  })
  let failure = 'it does not answer'
  qemu.once('error', (error) => {
    failure = error.message
  })
  // It may be gone already.
  qemu.stdin.on('error', () => undefined)
  const capabilities = [{ capability: 'background-snapshot', state: true }]
  const commands = [
    { execute: 'qmp_capabilities' },
    { execute: 'migrate-set-capabilities', arguments: { capabilities }, id: 'capability' },
    { execute: 'quit' },
  ]
  qemu.stdin.end(commands.map((command) => `${JSON.stringify(command)}\n`).join(''))
  for await (const line of createInterface({ input: qemu.stdout })) {
    const answer = answerSchema.safeParse(parse(line))
    if (answer.success) return answer.data.error?.desc
  }
  return failure
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
