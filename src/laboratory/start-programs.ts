/** Starts the two programs of a laboratory that run outside of its hosts: the hardware and the controller. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { makeCgroup } from '../linux/cgroup.ts'
import { runCommand } from '../linux/run-command.ts'
import { startDetached } from '../linux/start-detached.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { askHardware } from './ask-hardware.ts'
import { type LaboratoryFolders, laboratoryFolders } from './laboratory-folders.ts'
import type { LaboratoryRecord } from './laboratory-record.ts'
import { programEnvironment } from './program-environment.ts'

export const keepRunningScript = fileURLToPath(new URL('keep-running.sh', import.meta.url))
export const hardwareMain = fileURLToPath(new URL('hardware/main.ts', import.meta.url))

const hardwareReadyMs = 15_000

/** Resolves when the hardware answers. */
export async function startHardware(home: string, record: LaboratoryRecord, signal: AbortSignal): Promise<void> {
  const folders = laboratoryFolders(home, record.name)
  const cgroupDirectory = join(record.cgroupDirectory, 'hardware')
  await makeCgroup(cgroupDirectory)
  const program = [process.execPath, hardwareMain, '--home', home, '--name', record.name]
  await startDetached({
    command: [...(await firstClass()), '/bin/sh', keepRunningScript, '0', '0.1', 'always', ...program],
    cgroupDirectory,
    logFile: join(folders.log, 'hardware.log'),
    environment: programEnvironment(process.env, home),
  })
  await untilHardwareAnswers(folders, signal)
}

/** Writes its configuration and starts it; doesn't wait for it. */
export async function startController(home: string, record: LaboratoryRecord): Promise<void> {
  const folders = laboratoryFolders(home, record.name)
  const cgroupDirectory = controllerCgroup(record)
  const configuration = join(folders.controller, 'controller.json')
  await mkdir(folders.controller, { recursive: true, mode: 0o700 })
  await writeFile(configuration, `${JSON.stringify(controllerConfiguration(home, record), null, 2)}\n`)
  await makeCgroup(cgroupDirectory)
  const program = [process.execPath, record.programs.controller, '--config', configuration]
  await startDetached({
    command: ['/bin/sh', keepRunningScript, '-10', '0.3', 'unless-clean', ...program],
    cgroupDirectory,
    logFile: join(folders.log, 'controller.log'),
    environment: programEnvironment(process.env, home),
  })
}

export function controllerCgroup(record: LaboratoryRecord): string {
  return join(record.cgroupDirectory, 'controller')
}

function controllerConfiguration(home: string, record: LaboratoryRecord): object {
  const timings = Object.keys(record.timings).length === 0 ? {} : { timings: record.timings }
  return {
    dataDirectory: laboratoryFolders(home, record.name).controller,
    clusterName: record.name,
    apiListen: { host: '127.0.0.1', port: record.apiPort },
    agentListen: { host: record.gateway, port: record.agentPort },
    templatesDirectory: join(home, 'templates'),
    ...timings,
  }
}

/** Ahead of everything that hosts run; real time where that is allowed. */
async function firstClass(): Promise<readonly string[]> {
  const realTime = ['chrt', '--rr', '10']
  const [chrt = '', ...args] = realTime
  return runCommand(chrt, [...args, 'true'], { timeoutMs: 5000 }).then(
    () => realTime,
    () => ['nice', '-n', '-20'],
  )
}

async function untilHardwareAnswers(folders: LaboratoryFolders, signal: AbortSignal): Promise<void> {
  const givesUpAt = performance.now() + hardwareReadyMs
  for (;;) {
    const answer = await askHardware(folders.controlSocket, { action: 'status' }, 1000).catch(() => undefined)
    if (answer !== undefined) return
    signal.throwIfAborted()
    if (performance.now() > givesUpAt) {
      throw new DialtoneError('deadline-exceeded', `the emulated hardware did not start within ${hardwareReadyMs} ms`)
    }
    await delay(30, undefined, { signal })
  }
}
