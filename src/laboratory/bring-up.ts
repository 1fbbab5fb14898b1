/** Brings a laboratory up: a new one, or one whose processes a reboot of the machine has ended. */
import { access, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isCgroupEmpty, makeCgroup } from '../linux/cgroup.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { moveAgentConfiguration, writeAgentConfiguration } from './agent-configuration.ts'
import { askHardware } from './ask-hardware.ts'
import { checkMachine } from './check-machine.ts'
import { makeFabric } from './fabric.ts'
import { lockLaboratory } from './hold-lock.ts'
import { checkSocketPaths, hostFolder, type LaboratoryFolders, laboratoryFolders } from './laboratory-folders.ts'
import { cgroupNameOf } from './laboratory-names.ts'
import { type LaboratoryRecord, readRecord, writeRecord } from './laboratory-record.ts'
import { lastWords } from './last-words.ts'
import { callsTo } from './register-laboratory.ts'
import { isSubnetInUse, type LaboratoryWish, requireCgroupMount, reserveLaboratory } from './reserve-laboratory.ts'
import { controllerCgroup, startController, startHardware } from './start-programs.ts'
import { startStorageServer } from './storage-server.ts'
import { checkNotOfAnotherHome, endParts, takeDown } from './take-down.ts'

export type UpOptions = {
  readonly signal: AbortSignal
  /** Told what has just been done, in a few words. */
  readonly report: (step: string) => void
}

/**
 * Resolves when every host is online. What a killed `up` left is cleared first; whatever goes wrong, or an abort, removes what was made.
 * A running laboratory of that name is refused with `in-use`.
 */
export async function bringUp(wish: LaboratoryWish, options: UpOptions): Promise<LaboratoryRecord> {
  await checkMachine(wish)
  await using _lock = await lockLaboratory(wish.name, { purpose: 'dialtone up', waitMs: 0 })
  const folders = laboratoryFolders(wish.home, wish.name)
  checkSocketPaths(folders)
  await checkNotOfAnotherHome(wish.home, wish.name)
  const earlier = await readRecord(wish.home, wish.name)
  if (earlier?.state === 'up') return await bringUpAgain(wish.home, earlier, options)
  if (await takeDown(wish.home, wish.name)) options.report(`cleared what an interrupted command left of ${wish.name}`)
  try {
    const record = await reserveLaboratory(wish)
    await start(wish.home, record, options)
    const calls = callsTo(record, folders, options.signal)
    await calls.declareCluster()
    for (const host of record.hosts) {
      await writeAgentConfiguration(record, folders, { host, joinToken: await calls.createJoinToken(host.name) })
    }
    options.report(`declared the network ${record.subnet} and the shared storage`)
    await bootAll(record, folders, options)
    if (record.powerFence) await calls.declarePowerFences()
    options.signal.throwIfAborted()
    return await finish(wish.home, record)
  } catch (error) {
    const explained = await explain(error, folders, options.signal)
    options.report('clearing what was made')
    await takeDown(wish.home, wish.name)
    throw explained
  }
}

/** The machine was rebooted, or the laboratory's processes were ended otherwise: its state is kept. */
async function bringUpAgain(home: string, record: LaboratoryRecord, options: UpOptions): Promise<LaboratoryRecord> {
  const folders = laboratoryFolders(home, record.name)
  if (await isComplete(record, folders)) {
    throw new DialtoneError('in-use', `the laboratory ${record.name} runs already, at ${record.apiUrl}`)
  }
  options.report(`${record.name} is known: it is brought up again as it was`)
  await endParts(home, record.name)
  if (await isSubnetInUse(record.subnet)) {
    throw new DialtoneError(
      'address-taken',
      `something on this machine uses ${record.subnet} now, which ${record.name} has`,
    )
  }
  const cgroupDirectory = join(await requireCgroupMount(home), cgroupNameOf(record.name))
  const current = { ...record, cgroupDirectory }
  await writeRecord(home, current)
  try {
    for (const host of current.hosts) await moveAgentConfiguration(current, folders, host)
    // All switches are off, however the machine went down.
    await writeFile(join(folders.hardware, 'power.json'), '{}')
    await start(home, current, options)
    await bootAll(current, folders, options)
    return current
  } catch (error) {
    const explained = await explain(error, folders, options.signal)
    await endParts(home, record.name)
    throw explained
  }
}

async function start(home: string, record: LaboratoryRecord, { signal, report }: UpOptions): Promise<void> {
  const folders = laboratoryFolders(home, record.name)
  await makeFolders(record, folders)
  await makeCgroup(record.cgroupDirectory)
  await requireKillableCgroups(record.cgroupDirectory)
  await makeFabric(record, folders)
  await startStorageServer(home, record, folders)
  report(`made the network ${record.subnet}`)
  signal.throwIfAborted()
  await Promise.all([
    startHardware(home, record, signal).then(() => report('the hardware answers')),
    startController(home, record)
      .then(() => callsTo(record, folders, signal).waitUntilHealthy())
      .then(() => report(`the controller answers at ${record.apiUrl}`))
      .then(async () => report(await describeSignIn(folders))),
  ])
}

async function bootAll(record: LaboratoryRecord, folders: LaboratoryFolders, options: UpOptions): Promise<void> {
  const boots = record.hosts.map(({ name }) =>
    askHardware(folders.controlSocket, { action: 'on', host: name, cause: 'up', skipSelfTest: true }),
  )
  await Promise.all(boots)
  options.report(`booted ${record.hosts.map((host) => host.name).join(', ')}`)
  await callsTo(record, folders, options.signal).waitUntilOnline()
  options.report('all hosts are online')
}

async function makeFolders(record: LaboratoryRecord, folders: LaboratoryFolders): Promise<void> {
  await mkdir(folders.controller, { recursive: true, mode: 0o700 })
  await mkdir(folders.hardware, { recursive: true, mode: 0o700 })
  for (const folder of [folders.shared, folders.hosts, folders.log]) await mkdir(folder, { recursive: true })
  for (const host of record.hosts) {
    const tree = hostFolder(folders, host.name)
    for (const part of ['log', 'run', 'hardware', 'storage/local']) await mkdir(join(tree, part), { recursive: true })
  }
}

/** The record is `up` from here on, and its files outlive the processes. */
async function finish(home: string, record: LaboratoryRecord): Promise<LaboratoryRecord> {
  const complete: LaboratoryRecord = { ...record, state: 'up' }
  await writeRecord(home, complete)
  return complete
}

async function isComplete(record: LaboratoryRecord, folders: LaboratoryFolders): Promise<boolean> {
  if (await isCgroupEmpty(controllerCgroup(record))) return false
  const answer = await askHardware(folders.controlSocket, { action: 'status' }, 2000).catch(() => undefined)
  return answer !== undefined
}

async function requireKillableCgroups(cgroupDirectory: string): Promise<void> {
  const isThere = await access(join(cgroupDirectory, 'cgroup.kill')).then(
    () => true,
    () => false,
  )
  if (!isThere)
    throw new DialtoneError('machine-setup', 'a laboratory needs cgroup v2 with cgroup.kill: Linux 5.14 or newer')
}

/** The error, with the last words of the programs that are about to be removed. */
async function explain(error: unknown, folders: LaboratoryFolders, signal: AbortSignal): Promise<DialtoneError> {
  if (signal.aborted) return new DialtoneError('cancelled', 'interrupted', { cause: error })
  const logs = await lastWords(folders)
  if (error instanceof DialtoneError)
    return new DialtoneError(error.code, error.message, { cause: error, detail: { logs } })
  const message = error instanceof Error ? error.message : String(error)
  return new DialtoneError('internal', message, { cause: error, detail: { logs } })
}

/** The first password, as long as nobody has changed it. */
async function describeSignIn({ controller }: LaboratoryFolders): Promise<string> {
  const password = await readFile(join(controller, 'admin-password'), 'utf8').catch(() => undefined)
  if (password === undefined) return 'the console is at the same address'
  return `the console is at the same address: user admin, password ${password.trim()}`
}
