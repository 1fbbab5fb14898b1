/** An imaginary machine on its way to another process: what the guest remembers is one line, and the other end answers that it has it. */
import { Duplex } from 'node:stream'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { IncomingMachine, RunningMachine } from '../hypervisor.ts'
import type { OutgoingMachine, SendOptions } from '../moving-machine.ts'
import { fakeDiskStream } from './fake-mirror.ts'
import { changeState, type FakeMachine, type FakeWorld, passTime } from './fake-world.ts'

const memoryBytes = 1024

export function sendFakeMachine(
  world: FakeWorld,
  machine: FakeMachine,
  { isLive, canPostCopy }: SendOptions,
): OutgoingMachine {
  const { stream, nextLine, closed } = openEnd()
  machine.observers.add({ onExit: () => stream.destroy(), onEvent: () => undefined })
  let isOver = false
  let isFollowed = false
  let stoppedAtMs: number | undefined
  const wasRunning = machine.state === 'running'
  const stopping = Promise.withResolvers<void>()
  const broken = (why: string) => new DialtoneError('hypervisor-failed', `the machine could not be sent: ${why}`)
  const stop = async () => {
    if (machine.state === 'running') changeState(machine, 'paused')
    stoppedAtMs ??= nowMs(world)
    stopping.resolve()
    await world.options.drained?.(machine)
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
    // It changes its memory as fast as it is sent: it goes on until it is stopped.
    if (isLive && world.options.isOutrunning === true) await Promise.race([stopping.promise, closed])
    if (isOver) throw broken('it was called off')
    if (stream.destroyed || machine.exit !== undefined) giveUp('the stream broke off')
    await stop()
  }
  const stopped = copy()
  stopped.catch(() => undefined)
  const hasArrived = async () => (await Promise.race([nextLine(), closed])) === 'loaded'
  return {
    stream,
    stopped,
    stoppedAtMs: () => stoppedAtMs,
    progress: async () => ({ ...progressOf(world), dirtyBytesPerSecond: 0 }),
    allowPause: async () => undefined,
    stop,
    postCopy: async () => {
      if (!canPostCopy) throw broken('the other end cannot run before it has all of it')
      isFollowed = true
      await stop()
    },
    finish: async () => {
      stream.push(isFollowed ? 'devices\n' : `${machine.memory}\n`)
      if (isFollowed) machine.arrival = 'torn'
      else if (!(await hasArrived())) giveUp('the other end does not have it')
      isOver = true
    },
    followed: async () => {
      if (!isFollowed) return
      await Promise.race([passTime(world, world.options.followMs), closed])
      stream.push(`${machine.memory}\n`)
      if (!(await hasArrived())) throw broken('the other end does not have all of it')
    },
    cancel: async () => {
      isOver = true
      stream.destroy()
    },
  }
}

/** A guest that outruns its move leaves as much after each pass as before it. */
function progressOf({ options }: FakeWorld) {
  const leftBytes = options.isOutrunning === true ? 1000 * memoryBytes : 0
  const passes = options.isOutrunning === true ? 3 : 1
  return { transferredBytes: memoryBytes, remainingBytes: leftBytes, totalBytes: memoryBytes, passes }
}

export function receiveFakeMachine(
  world: FakeWorld,
  machine: FakeMachine,
  attach: () => RunningMachine,
): IncomingMachine {
  const { stream, nextLine, closed } = openEnd()
  const whole = Promise.withResolvers<void>()
  whole.promise.catch(() => undefined)
  machine.arrival = 'awaited'
  const take = async () => {
    const line = await Promise.race([nextLine(), closed])
    if (line === undefined || machine.exit !== undefined) return undefined
    return line
  }
  const brokenOff = () =>
    new DialtoneError('hypervisor-failed', 'the stream of the machine broke off before it was whole')
  const become = (memory: string) => {
    machine.memory = memory
    machine.arrival = 'whole'
    stream.push('loaded\n')
    whole.resolve()
  }
  const load = async () => {
    const first = await take()
    if (first === undefined) {
      world.crash(machine.definition.runDirectory, 'the stream broke off')
      throw brokenOff()
    }
    if (first !== 'devices') return become(first)
    machine.arrival = 'torn'
    void take().then((rest) => (rest === undefined ? whole.reject(brokenOff()) : become(rest)))
  }
  const loaded = load()
  loaded.catch((error: unknown) => whole.reject(error))
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
  const arrival = { loaded, whole: whole.promise, resumedAtMs: resumed.promise }
  return { machine: attach(), stream, diskStream, canPostCopy: true, ...arrival }
}

/** One end of a stream: what is pushed leaves it, and what comes in is heard line by line. */
function openEnd() {
  const close = Promise.withResolvers<undefined>()
  const lines: string[] = []
  const waiting: ((line: string) => void)[] = []
  let text = ''
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      const parts = (text + chunk.toString()).split('\n')
      text = parts.pop() ?? ''
      for (const line of parts) (waiting.shift() ?? ((heard) => lines.push(heard)))(line)
      done()
    },
  })
  stream.on('error', () => undefined)
  stream.once('close', () => close.resolve(undefined))
  const nextLine = () =>
    new Promise<string>((resolve) => {
      const line = lines.shift()
      if (line === undefined) waiting.push(resolve)
      else resolve(line)
    })
  return { stream, nextLine, closed: close.promise }
}

function nowMs(world: FakeWorld): number {
  return (world.options.wallTime?.() ?? new Date(0)).getTime()
}
