/** An imaginary machine on its way to another process: what the guest remembers is one line, and the other end answers that it has it. */
import { Duplex } from 'node:stream'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { IncomingMachine, RunningMachine } from '../hypervisor.ts'
import type { OutgoingMachine, SendOptions } from '../moving-machine.ts'
import { fakeDiskStream } from './fake-mirror.ts'
import { changeState, type FakeMachine, type FakeWorld, passTime } from './fake-world.ts'

const memoryBytes = 1024

export function sendFakeMachine(world: FakeWorld, machine: FakeMachine, { isLive }: SendOptions): OutgoingMachine {
  const { stream, heard, closed } = openEnd()
  let isOver = false
  let stoppedAtMs: number | undefined
  const wasRunning = machine.state === 'running'
  const broken = (why: string) => new DialtoneError('hypervisor-failed', `the machine could not be sent: ${why}`)
  const stop = async () => {
    if (machine.state === 'running') changeState(machine, 'paused')
    stoppedAtMs ??= nowMs(world)
  }
  // As QEMU does it: what stood still for the move alone goes on when the move has failed.
  const giveUp = (why: string): never => {
    isOver = true
    if (isLive && wasRunning && machine.exit === undefined) changeState(machine, 'running')
    stoppedAtMs = undefined
    throw broken(why)
  }
  const copy = async () => {
    if (!isLive) await stop()
    await Promise.race([passTime(world, world.options.sendMs), closed])
    if (isOver) throw broken('it was called off')
    if (stream.destroyed || machine.exit !== undefined) giveUp('the stream broke off')
    await stop()
  }
  const stopped = copy()
  stopped.catch(() => undefined)
  return {
    stream,
    stopped,
    stoppedAtMs: () => stoppedAtMs,
    progress: async () => ({
      transferredBytes: memoryBytes,
      remainingBytes: 0,
      totalBytes: memoryBytes,
      dirtyBytesPerSecond: 0,
      passes: 1,
    }),
    allowPause: async () => undefined,
    stop,
    finish: async () => {
      stream.push(`${machine.memory}\n`)
      const answer = await Promise.race([heard, closed])
      if (answer !== 'loaded') giveUp('the other end does not have it')
      isOver = true
    },
    cancel: async () => {
      isOver = true
      stream.destroy()
    },
  }
}

export function receiveFakeMachine(
  world: FakeWorld,
  machine: FakeMachine,
  attach: () => RunningMachine,
): IncomingMachine {
  const { stream, heard, closed } = openEnd()
  const load = async () => {
    const memory = await Promise.race([heard, closed])
    if (memory === undefined || machine.exit !== undefined) {
      world.crash(machine.definition.runDirectory, 'the stream broke off')
      throw new DialtoneError('hypervisor-failed', 'the stream of the machine broke off before it was whole')
    }
    machine.memory = memory
    stream.push('loaded\n')
  }
  const loaded = load()
  loaded.catch(() => undefined)
  const resumed = Promise.withResolvers<number>()
  machine.observers.add({
    onExit: () => stream.destroy(),
    onEvent: (event) => {
      if (event.kind === 'state' && event.state === 'running') resumed.resolve(nowMs(world))
    },
  })
  const diskStream = async (volumeId: string) => {
    const disk = fakeDiskStream(world, machine.layers.get(volumeId)?.[0] ?? '')
    machine.observers.add({ onExit: () => disk.destroy(), onEvent: () => undefined })
    return disk
  }
  return { machine: attach(), stream, diskStream, loaded, resumedAtMs: resumed.promise }
}

/** One end of a stream: what is pushed leaves it, and the first line that comes in is heard. */
function openEnd() {
  const line = Promise.withResolvers<string>()
  const close = Promise.withResolvers<undefined>()
  let text = ''
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString()
      if (text.includes('\n')) line.resolve(text.slice(0, text.indexOf('\n')))
      done()
    },
  })
  stream.on('error', () => undefined)
  stream.once('close', () => close.resolve(undefined))
  return { stream, heard: line.promise, closed: close.promise }
}

function nowMs(world: FakeWorld): number {
  return (world.options.wallTime?.() ?? new Date(0)).getTime()
}
