/** Takes a number, addresses, a port and a cgroup for a new laboratory, and writes its record before anything else is made. */
import { mkdir, rmdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { listMounts, mountsBelow, unmount } from '../linux/mounts.ts'
import { runCommand } from '../linux/run-command.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { addressesInUse } from './addresses-in-use.ts'
import { chooseSubnet, hostAddress, rangeOf, storageServerAddress } from './choose-subnet.ts'
import { lockLaboratories } from './hold-lock.ts'
import { laboratoryFolders } from './laboratory-folders.ts'
import { cgroupNameOf, hostNameOf } from './laboratory-names.ts'
import {
  type LaboratoryRecord,
  type Programs,
  readAllRecords,
  type TimingOverrides,
  writeRecord,
} from './laboratory-record.ts'

export type LaboratoryWish = {
  readonly home: string
  readonly name: string
  readonly hosts: number
  readonly memoryPerHostMiB: number | undefined
  readonly postDelayMs: number
  readonly timings: TimingOverrides
  readonly fileLocking: boolean
  readonly memoryImages: LaboratoryRecord['memoryImages']
  readonly powerFence: boolean
  readonly storageServer: boolean
  readonly programs: Programs
}

const firstApiPort = 7400
const agentPort = 7440
const storageServerPort = 7450
/** Shown in the table of mounts. */
const ownMountSource = 'dialtone'
const lockWaitMs = 20_000
/** Of the machine's memory, for all hosts together. */
const memoryShare = 0.7

/** Resolves with the record, which is on disk with the state `starting`. */
export async function reserveLaboratory(wish: LaboratoryWish): Promise<LaboratoryRecord> {
  await using _lock = await lockLaboratories({ purpose: 'dialtone up', waitMs: lockWaitMs })
  const others = (await readAllRecords(wish.home)).filter((other) => other.name !== wish.name)
  const inUse = [...(await addressesInUse()), ...others.map((other) => rangeOf(other.subnet))]
  const addresses = chooseSubnet(wish.name, inUse)
  if (addresses === undefined) {
    throw new DialtoneError(
      'machine-setup',
      'no /22 of 10.64.0.0/10 is free on this machine: its routes cover all of it',
    )
  }
  const apiPort = await freePort(others.map((other) => other.apiPort))
  const cgroupMount = await requireCgroupMount(wish.home)
  const record: LaboratoryRecord = {
    name: wish.name,
    number: smallestFree(others.map((other) => other.number)),
    state: 'starting',
    createdAt: new Date().toISOString(),
    ...addresses,
    apiUrl: `http://127.0.0.1:${apiPort}`,
    apiPort,
    agentPort,
    cgroupDirectory: join(cgroupMount, cgroupNameOf(wish.name)),
    hosts: Array.from({ length: wish.hosts }, (_, index) => ({
      name: hostNameOf(index + 1),
      number: index + 1,
      address: hostAddress(addresses.subnet, index + 1),
    })),
    memoryPerHostMiB: wish.memoryPerHostMiB ?? Math.floor((totalmem() / 2 ** 20) * (memoryShare / wish.hosts)),
    cpusPerHost: availableParallelism(),
    postDelayMs: wish.postDelayMs,
    timings: wish.timings,
    fileLocking: wish.fileLocking,
    memoryImages: wish.memoryImages,
    powerFence: wish.powerFence,
    storageServer: wish.storageServer
      ? { address: storageServerAddress(addresses.subnet), port: storageServerPort }
      : null,
    programs: wish.programs,
  }
  await mkdir(laboratoryFolders(wish.home, wish.name).root, { recursive: true })
  await writeRecord(wish.home, record)
  return record
}

/** Where cgroup v2 is mounted; mounted in this home where the machine has no mount of it (a bare chroot). */
export async function requireCgroupMount(home: string): Promise<string> {
  const point = ownCgroupMount(home)
  // Another home's own mount goes away with that home's laboratories.
  const mounts = (await listMounts()).filter((mount) => mount.type === 'cgroup2')
  const usable = mounts.find((mount) => mount.source !== ownMountSource || mount.point === point)
  if (usable !== undefined) return usable.point
  await mkdir(point, { recursive: true })
  await runCommand('mount', ['-t', 'cgroup2', ownMountSource, point], { timeoutMs: 10_000 })
  return point
}

/** Unmounts cgroup v2 if it was mounted for this home and no laboratory is left in it. */
export async function releaseCgroupMount(home: string): Promise<void> {
  await using _lock = await lockLaboratories({ purpose: 'dialtone down', waitMs: lockWaitMs })
  const point = ownCgroupMount(home)
  if ((await readAllRecords(home)).length > 0 || !(await mountsBelow(point)).includes(point)) return
  await unmount(point)
  await rmdir(point)
}

/** True when something on the machine has this subnet's addresses, or a part of them. */
export async function isSubnetInUse(subnet: string): Promise<boolean> {
  const { first, last } = rangeOf(subnet)
  return (await addressesInUse()).some((range) => range.first <= last && range.last >= first)
}

function ownCgroupMount(home: string): string {
  return join(home, 'cgroup')
}

function smallestFree(taken: readonly number[]): number {
  let number = 1
  while (taken.includes(number)) number += 1
  return number
}

async function freePort(taken: readonly number[]): Promise<number> {
  for (let port = firstApiPort; port < 65_536; port += 1) {
    // The hosts' ports are left out so that one list of numbers can be remembered.
    if (port === agentPort || port === agentPort + 1 || taken.includes(port)) continue
    if (await canListen(port)) return port
  }
  throw new DialtoneError('machine-setup', 'no TCP port of 127.0.0.1 is free')
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
