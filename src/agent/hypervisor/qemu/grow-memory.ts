/** Memory that comes and goes while the machine runs: virtio-mem beside what it began with, and a balloon in that. The guest has the last word. */
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { memoryStepMiB, planMemory } from '../../../model/growth.ts'
import { balloonId, memoryDeviceId } from './command-line.ts'
import { listDevices } from './plug-ports.ts'
import type { QmpLine } from './qmp-session.ts'

const commandTimeoutMs = 5000
const lookAgainMs = 50
const mebibyte = 2 ** 20

const pluggableSchema = z.object({ id: z.string().optional(), size: z.number(), 'max-size': z.number() })

export type MemoryState = {
  readonly bootMemoryMiB: number
  readonly roomMiB: number
  readonly memoryMiB: number
}

/** What the guest has taken beside what it began with. */
export async function pluggedMemoryBytes(line: QmpLine): Promise<number> {
  const devices = await line.execute('query-memory-devices', {}, commandTimeoutMs)
  // Of one whose size isn't told all is counted: it is moved standing still then.
  const sizes = devices.map(({ data }) => pluggableSchema.safeParse(data).data?.size ?? Number.MAX_SAFE_INTEGER)
  return Math.max(0, ...sizes)
}

export async function readMemory(line: QmpLine): Promise<MemoryState> {
  const { 'base-memory': bootBytes } = await line.execute('query-memory-size-summary', {}, commandTimeoutMs)
  const devices = await line.execute('query-memory-devices', {}, commandTimeoutMs)
  const growth = devices
    .map(({ data }) => pluggableSchema.safeParse(data).data)
    .find((device) => device?.id === memoryDeviceId)
  const ballooned = (await listDevices(line)).includes(balloonId)
    ? bootBytes - (await line.execute('query-balloon', {}, commandTimeoutMs)).actual
    : 0
  return {
    bootMemoryMiB: Math.floor(bootBytes / mebibyte),
    roomMiB: Math.floor((growth?.['max-size'] ?? 0) / mebibyte),
    memoryMiB: Math.floor((bootBytes - ballooned + (growth?.size ?? 0)) / mebibyte),
  }
}

/** See the port. What the guest did not do in time it may do later: it goes on being asked for. */
export async function setMemory(line: QmpLine, memoryMiB: number, timeoutMs: number): Promise<number> {
  const before = await readMemory(line)
  const { bootMemoryMiB: bootMiB, roomMiB } = before
  const { pluggedMiB, balloonedMiB } = planMemory(memoryMiB, { bootMiB, roomMiB })
  const devices = await listDevices(line)
  if (devices.includes(memoryDeviceId))
    await line.execute(
      'qom-set',
      {
        path: `/machine/peripheral/${memoryDeviceId}`,
        property: 'requested-size',
        value: pluggedMiB * mebibyte,
      },
      commandTimeoutMs,
    )
  if (devices.includes(balloonId)) await setBalloon(line, balloonedMiB)
  const reachableMiB = bootMiB + pluggedMiB - balloonedMiB
  const givesUpAt = performance.now() + timeoutMs
  for (;;) {
    const { memoryMiB: present } = await readMemory(line)
    const isThere = Math.abs(present - reachableMiB) < memoryStepMiB
    if (isThere || !devices.includes(memoryDeviceId) || performance.now() > givesUpAt) return present
    await delay(lookAgainMs)
  }
}

/** Of what it began with, to the last byte: the odd size is left as it is. */
async function setBalloon(line: QmpLine, balloonedMiB: number): Promise<void> {
  const { 'base-memory': bootBytes } = await line.execute('query-memory-size-summary', {}, commandTimeoutMs)
  await line.execute('balloon', { value: bootBytes - balloonedMiB * mebibyte }, commandTimeoutMs)
}
