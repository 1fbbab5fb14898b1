import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MachineEvent, RunningMachine } from '../hypervisor/hypervisor.ts'
import { figuresBetween } from './figures-between.ts'
import {
  cpuMsOfCgroup,
  cpuMsOfHost,
  diskKiBOfHost,
  diskKiBOfProcess,
  memoryMiBOfHost,
  memoryMiBOfProcess,
  trafficKiB,
  trafficOfHost,
  trafficOfTaps,
} from './read-counters.ts'
import { createPauseWatch } from './watch-pauses.ts'

/** As Linux 6.1 writes it. */
const netDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 12110264795 1448113    0    0    0     0          0         0 12110264795 1448113    0    0    0     0       0          0
  eth0: 2048000   68492    0    0    0     0          0         0  1024000   41094    0    0    0     0       0          0
   br0: 2048000   68492    0    0    0     0          0         0  1024000   41094    0    0    0     0       0          0
  dt12: 512000   68492    0    0    0     0          0         0  4096   41094    0    0    0     0       0          0
dt12n1: 1024   1    0    0    0     0          0         0  1024   1    0    0    0     0       0          0
`

test('what the kernel writes is read as it means it', () => {
  assert.equal(cpuMsOfCgroup('usage_usec 2500000\nuser_usec 1\nsystem_usec 2\n'), 2500)
  assert.equal(cpuMsOfHost('cpu  100 0 50 9000 70 5 5 0 0 0\ncpu0 1 2 3 4 5 6 7 0 0 0\n'), 1600)
  assert.equal(memoryMiBOfHost('MemTotal:       2048000 kB\nMemFree:  1 kB\nMemAvailable:   1024000 kB\n'), 1000)
  assert.equal(memoryMiBOfProcess('201000 25600 4000 1 0 30000 0\n'), 100)
  assert.deepEqual(diskKiBOfProcess('rchar: 9\nread_bytes: 4096\nwrite_bytes: 1024\ncancelled_write_bytes: 0\n'), {
    read: 4,
    written: 1,
  })
  const disks =
    '   8  0 sda 10 0 2000 1 5 0 400 1 0 0 0\n   8  1 sda1 9 0 1999 1 5 0 400 1 0 0 0\n   7 0 loop0 1 0 8 0 0 0 0 0\n'
  assert.deepEqual(diskKiBOfHost(disks), { read: 1000, written: 200 })
})

test('what passes a tap or a bridge is not counted again for the host; what a machine is sent is what goes into its taps', () => {
  const interfaces = trafficKiB(netDev)
  assert.deepEqual(trafficOfHost(interfaces, 'br0'), { in: 2000, out: 1000 })
  assert.deepEqual(trafficOfTaps(interfaces, ['dt12', 'dt12n1']), { in: 5, out: 501 })
})

test('a host without a port to be seen is measured by its bridge', () => {
  const onlyBridge = trafficKiB(netDev.replace('eth0', 'dt-up'))
  assert.deepEqual(trafficOfHost(onlyBridge, 'br0'), { in: 2000, out: 1000 })
})

const counters = { cpuMs: 0, memoryMiB: 0, diskReadKiB: 0, diskWrittenKiB: 0, networkInKiB: 0, networkOutKiB: 0 }

test('figures are what was added in the time; a counter that began anew counts from nothing', () => {
  const before = { ...counters, cpuMs: 1000, diskReadKiB: 500, networkInKiB: 900 }
  const after = { ...counters, cpuMs: 8500, memoryMiB: 77, diskReadKiB: 600, networkInKiB: 10 }
  const figures = figuresBetween(before, after, { elapsedMs: 5000, pauseMs: 4 })
  assert.deepEqual(
    [
      figures.cpuPercent,
      figures.memoryMiB,
      figures.diskReadKiBPerSecond,
      figures.networkInKiBPerSecond,
      figures.pauseMs,
    ],
    [150, 77, 20, 2, 4],
  )
})

test('a pause counts as long as it was, also while it goes on, and once', () => {
  let nowMs = 0
  let tell: (event: MachineEvent) => void = () => assert.fail('it is listened to')
  const onEvent: RunningMachine['onEvent'] = (listener) => {
    tell = listener
  }
  const machine: Pick<RunningMachine, 'onEvent'> = { onEvent }
  const pauses = createPauseWatch({ bootTimeMs: () => nowMs })
  assert.equal(pauses.longestMs(machine), 0)
  const at = (timeMs: number, state: 'paused' | 'running') => {
    nowMs = timeMs
    tell({ kind: 'state', state })
  }
  at(100, 'paused')
  at(120, 'running')
  at(200, 'paused')
  at(205, 'running')
  assert.equal(pauses.longestMs(machine), 20)
  assert.equal(pauses.longestMs(machine), 0)
  at(300, 'paused')
  nowMs = 1300
  assert.equal(pauses.longestMs(machine), 1000)
})
