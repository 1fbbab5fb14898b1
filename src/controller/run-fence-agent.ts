/**
 * Fences by the calling convention of ClusterLabs' fence agents: parameters as key=value lines on standard input, and for `status` exit
 * code 0 for on, 2 for off. "Off" counts only when the state was read back (FenceAgentAPI.md of the fence-agents project).
 */
import { spawn } from 'node:child_process'
import type { FencePort } from '../engine/agent-port.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { FenceConfiguration, HostSpec } from '../model/host.ts'

const actionTimeoutMs = 30_000

export const fenceAgents: FencePort = {
  async switchOff(host: HostSpec): Promise<void> {
    const { fence } = host
    if (fence === null) throw new DialtoneError('invalid-input', `${host.name} has no power fence`)
    const off = await runFenceAgent(fence, 'off')
    if (off.code !== 0)
      throw new DialtoneError('machine-setup', `${fence.agent} could not switch ${host.name} off: ${off.words}`)
    const status = await runFenceAgent(fence, 'status')
    if (status.code !== 2)
      throw new DialtoneError(
        'machine-setup',
        `${fence.agent} says that ${host.name} is still on (status ${status.code}): ${status.words}`,
      )
  },
  async switchOn({ fence, name }: HostSpec): Promise<void> {
    if (fence === null) throw new DialtoneError('invalid-input', `${name} has no power fence`)
    const on = await runFenceAgent(fence, 'on')
    if (on.code !== 0)
      throw new DialtoneError('machine-setup', `${fence.agent} could not switch ${name} on: ${on.words}`)
  },
}

async function runFenceAgent(
  fence: FenceConfiguration,
  action: 'on' | 'off' | 'status',
): Promise<{ readonly code: number; readonly words: string }> {
  const program = fence.agent.startsWith('/') ? fence.agent : `/usr/sbin/${fence.agent}`
  const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'pipe'], timeout: actionTimeoutMs, killSignal: 'SIGKILL' })
  let words = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-1000)))
  child.stdin.on('error', () => undefined)
  child.stdin.end(
    Object.entries({ ...fence.parameters, action })
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  )
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: -1, words: error.message }))
    child.once('close', (code, signal) => resolve({ code: code ?? -1, words: words.trim() || (signal ?? '') }))
  })
}
