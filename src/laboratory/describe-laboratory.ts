/** What a laboratory looks like now: switches, cables, and the process ids of everything that runs in it. */
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isCgroupEmpty, processesIn } from '../linux/cgroup.ts'
import { askHardware } from './ask-hardware.ts'
import type { HostPowerStatus } from './hardware/control-message.ts'
import { laboratoryFolders } from './laboratory-folders.ts'
import type { LaboratoryHost, LaboratoryRecord } from './laboratory-record.ts'
import { controllerCgroup, hardwareMain } from './start-programs.ts'

export type MachineProcesses = { readonly vmId: string; readonly pids: readonly number[] }

export type HostDescription = {
  readonly name: string
  readonly address: string
  /** Null when the hardware doesn't answer. */
  readonly hardware: Omit<HostPowerStatus, 'host'> | null
  readonly pids: {
    readonly init: number | null
    readonly agent: number | null
    readonly watchdog: number | null
    readonly machines: readonly MachineProcesses[]
  }
}

export type LaboratoryDescription = {
  readonly name: string
  readonly state: LaboratoryRecord['state']
  /** False when no process of it is left, as after a reboot of the machine. */
  readonly isRunning: boolean
  readonly apiUrl: string
  readonly subnet: string
  readonly gateway: string
  readonly folder: string
  readonly pids: {
    readonly controller: number | null
    readonly controllerKeeper: number | null
    readonly hardware: number | null
  }
  readonly hosts: readonly HostDescription[]
}

export async function describeLaboratory(home: string, record: LaboratoryRecord): Promise<LaboratoryDescription> {
  const folders = laboratoryFolders(home, record.name)
  const power = await askHardware(folders.controlSocket, { action: 'status' }, 1000).catch(() => [])
  const controller = await programsIn(controllerCgroup(record))
  const hardware = await programsIn(join(record.cgroupDirectory, 'hardware'))
  return {
    name: record.name,
    state: record.state,
    isRunning: !(await isCgroupEmpty(record.cgroupDirectory)),
    apiUrl: record.apiUrl,
    subnet: record.subnet,
    gateway: record.gateway,
    folder: folders.root,
    pids: {
      controller: pidOf(controller, (script) => script === record.programs.controller),
      controllerKeeper: pidOf(controller, (script) => basename(script) === 'keep-running.sh'),
      hardware: pidOf(hardware, (script) => script === hardwareMain),
    },
    hosts: await Promise.all(record.hosts.map((host) => describeHost(record, host, power))),
  }
}

async function describeHost(
  record: LaboratoryRecord,
  host: LaboratoryHost,
  power: readonly HostPowerStatus[],
): Promise<HostDescription> {
  const cgroupDirectory = join(record.cgroupDirectory, host.name)
  const programs = await programsIn(join(cgroupDirectory, 'init'))
  const { host: _name, ...hardware } = power.find((status) => status.host === host.name) ?? { host: undefined }
  return {
    name: host.name,
    address: host.address,
    hardware: 'phase' in hardware ? hardware : null,
    pids: {
      init: pidOf(programs, (script) => basename(script) === 'host-init.sh'),
      agent: pidOf(programs, (script) => script === record.programs.agent),
      watchdog: pidOf(programs, (script) => script === record.programs.watchdog),
      machines: await machinesIn(join(cgroupDirectory, 'machines')),
    },
  }
}

async function machinesIn(directory: string): Promise<MachineProcesses[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => [])
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  return Promise.all(names.map(async (vmId) => ({ vmId, pids: await processesIn(join(directory, vmId)) })))
}

type RunningProgram = { readonly pid: number; readonly script: string }

/** The processes there with the script that each runs: the argument after the interpreter. */
async function programsIn(cgroupDirectory: string): Promise<RunningProgram[]> {
  const pids = await processesIn(cgroupDirectory)
  return Promise.all(
    pids.map(async (pid) => {
      const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      return { pid, script: commandLine.split('\0')[1] ?? '' }
    }),
  )
}

function pidOf(programs: readonly RunningProgram[], isIt: (script: string) => boolean): number | null {
  return programs.find(({ script }) => isIt(script))?.pid ?? null
}
