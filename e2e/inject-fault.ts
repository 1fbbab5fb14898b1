/** Does the faults of a round to a laboratory, for real, and heals them. */
import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { hostNamespaceOf } from '../src/laboratory/laboratory-names.ts'
import { processesIn } from '../src/linux/cgroup.ts'
import { networkNamespacePath } from '../src/linux/network-namespace.ts'
import { runCommand } from '../src/linux/run-command.ts'
import { type BrokenTraffic, breakTraffic, controllerPort, storagePort } from './break-traffic.ts'
import type { FaultKind } from './draw-faults.ts'
import { processesOf } from './machine-processes.ts'
import type { OpenLaboratory } from './open-laboratory.ts'

/** Ends a fault; may be called when there is nothing left of it. */
type Heal = () => Promise<void>
type Victim = {
  readonly host: string
  /** Those whose QEMU may be meant. The first is the one that is moved. */
  readonly vmIds: readonly [string, ...string[]]
}

export type FaultInjector = {
  /** `note`: told what else there is to say of it. */
  inject(kind: FaultKind | BrokenPromise, victim: Victim, note: (words: string) => void): Promise<Heal>
}

/** What the protocol rests on. */
type BrokenPromise = 'the hardware does nothing'

const nothing: Heal = async () => undefined
/** Long enough for a flush that was under way, on a storage that others use, too. */
const catchWithinMs = 1_000
/** A sector. */
const leastWriteBytes = 512
const attemptsToCatch = 10

export async function openFaultInjector(laboratory: OpenLaboratory): Promise<FaultInjector> {
  const { name, folder, lab } = laboratory
  const { cgroupDirectory } = z
    .looseObject({ cgroupDirectory: z.string() })
    .parse(JSON.parse(await readFile(join(folder, 'lab.json'), 'utf8')))
  const traffic = breakTraffic(name)
  const programOf = async (host: string, which: 'agent' | 'watchdog') =>
    (await laboratory.status()).hosts.find((one) => one.name === host)?.pids[which] ?? null
  const controller = async () => (await laboratory.status()).pids.controller
  const qemuOf = async ({ host, vmIds }: Victim) => {
    const processes = await Promise.all(vmIds.map((vmId) => processesOf(laboratory, vmId)))
    return processes.flatMap((byHost) => byHost.get(host) ?? [])[0] ?? null
  }
  // A host that has lost its power has no cgroup.
  const freeze = (part: string, isFrozen: boolean) =>
    writeFile(join(cgroupDirectory, part, 'cgroup.freeze'), isFrozen ? '1' : '0').catch(() => undefined)
  const storageClientOf = async (host: string) => {
    for (const pid of await processesIn(join(cgroupDirectory, host, 'init')))
      if ((await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim() === 'sshfs') return pid
    return null
  }

  /** The way to the storage ends, and a write goes into it: answers still come, so that the guest goes on to the next one. */
  const catchWrite = async (host: string): Promise<Heal> => {
    for (let attempt = 1; ; attempt += 1) {
      const heal = await traffic.lose([{ from: host, to: storagePort, percent: 100 }])
      const givesUpAtMs = performance.now() + catchWithinMs
      while (performance.now() < givesUpAtMs) {
        if ((await unsentBytes(name, host)) >= leastWriteBytes) return heal
        await delay(20)
      }
      // It was a flush that got stuck, which nothing follows.
      if (attempt === attemptsToCatch) return heal
      await heal()
      await delay(catchWithinMs / 2)
    }
  }

  return {
    async inject(kind, victim, note) {
      const { host } = victim
      const stop = async (pid: number | null) => stopProcess(pid, note)
      const kill = async (pid: number | null) => killProcess(pid, note)
      switch (kind) {
        case 'its cable is pulled':
          await lab(['cut', host])
          return () => lab(['heal', host])
        case 'its agent stands still':
          return stop(await programOf(host, 'agent'))
        case 'its watchdog process stands still':
          return stop(await programOf(host, 'watchdog'))
        case 'its QEMU stands still':
          return stop(await qemuOf(victim))
        case 'the controller stands still':
          return stop(await controller())
        case 'its agent is killed':
          return kill(await programOf(host, 'agent'))
        case 'its QEMU is killed':
          return kill(await qemuOf(victim))
        case 'the controller is killed':
          return kill(await controller())
        case 'its QEMU is killed with writes under way': {
          const heal = await catchWrite(host)
          note(`${await unsentBytes(name, host)} bytes for the storage wait in a socket`)
          await kill(await qemuOf(victim))
          return heal
        }
        case 'its machine is moved':
          await laboratory.api
            .call('migrateVm', { params: { vm: victim.vmIds[0] }, body: {} }, { timeoutMs: 2_000 })
            .catch((error: unknown) => note(`not begun: ${error instanceof Error ? error.message : String(error)}`))
          return nothing
        case 'all of it stands still':
          await freeze(host, true)
          return () => freeze(host, false)
        case 'its mount of the storage breaks':
          await kill(await storageClientOf(host))
          // As with any mount that is dead, nothing but a boot helps.
          return () => lab(['reset', host]).catch(() => undefined)
        case 'its reset button is pressed':
          // Another fault may have cut its power already.
          await lab(['reset', host]).catch(() => note('it is off'))
          return nothing
        case 'the hardware does nothing':
          return stop((await laboratory.status()).pids.hardware)
        case 'its power is cut':
          await lab(['power-off', host])
          return () => lab(['power-on', host])
        case 'the storage hangs':
          await freeze('storage-server', true)
          return () => freeze('storage-server', false)
        default:
          return breakNetwork(kind, host, traffic)
      }
    },
  }
}

type NetworkFault = Extract<
  FaultKind,
  | 'it doesn’t reach the controller'
  | 'it doesn’t reach the storage'
  | 'nothing reaches it'
  | 'nothing of it arrives'
  | 'a third of its packets is lost'
  | 'its packets come late'
  | 'the storage is cut off'
>

function breakNetwork(kind: NetworkFault, host: string, { lose, delay: slowDown }: BrokenTraffic): Promise<Heal> {
  const both = (one: string, other: string, percent = 100) =>
    lose([
      { from: one, to: other, percent },
      { from: other, to: one, percent },
    ])
  switch (kind) {
    case 'it doesn’t reach the controller':
      return both(host, controllerPort)
    case 'it doesn’t reach the storage':
      return both(host, storagePort)
    case 'nothing reaches it':
      return lose([{ from: 'any', to: host, percent: 100 }])
    case 'nothing of it arrives':
      return lose([{ from: host, to: 'any', percent: 100 }])
    case 'a third of its packets is lost':
      return both(host, 'any', 33)
    case 'its packets come late':
      return slowDown(host)
    case 'the storage is cut off':
      return both(storagePort, 'any')
  }
}

function stopProcess(pid: number | null, note: (words: string) => void): Heal {
  const startedAt = pid === null ? undefined : startTimeOf(pid)
  if (pid === null || startedAt === undefined) {
    note('it does not run')
    return nothing
  }
  process.kill(pid, 'SIGSTOP')
  return async () => {
    // It may have been killed meanwhile, and its number be another's.
    if (startTimeOf(pid) === startedAt) process.kill(pid, 'SIGCONT')
  }
}

function killProcess(pid: number | null, note: (words: string) => void): Heal {
  if (pid !== null && startTimeOf(pid) !== undefined) process.kill(pid, 'SIGKILL')
  else note('it does not run')
  return nothing
}

/** Field 22 of /proc/PID/stat. */
function startTimeOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

/** What this host's client of the storage has handed to the kernel, and the storage has not acknowledged. */
async function unsentBytes(laboratory: string, host: string): Promise<number> {
  const namespace = networkNamespacePath(hostNamespaceOf(laboratory, host))
  const shown = await runCommand('nsenter', [`--net=${namespace}`, 'ss', '-Htn', 'dport', '=', ':7450'], {
    timeoutMs: 5_000,
  }).catch(() => '')
  return shown
    .split('\n')
    .map((line) => Number(line.trim().split(/\s+/)[2] ?? 0))
    .reduce((sum, bytes) => sum + (Number.isNaN(bytes) ? 0 : bytes), 0)
}
