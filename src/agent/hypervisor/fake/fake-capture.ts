/** Captures an imaginary machine. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { Capture, CaptureRequest } from '../hypervisor.ts'
import { changeState, type FakeMachine, type FakeWorld, keepFile, passTime } from './fake-world.ts'

const usualPauseMs = 10

/** The disks are swapped before anything else can fail: a stream that breaks later leaves the machine on its overlays, as QEMU does. */
export async function captureFakeMachine(
  world: FakeWorld,
  machine: FakeMachine,
  { overlays, streamPath, isHeld }: CaptureRequest,
): Promise<Capture> {
  const { runDirectory } = machine.definition
  world.refuse({ kind: 'capture', runDirectory, paths: overlays.map(({ path }) => path) })
  if (world.files.has(streamPath)) throw new DialtoneError('hypervisor-failed', `${streamPath} exists already`)
  const { memory, state } = machine
  putOverlays(machine, overlays)
  if (isHeld === true) changeState(machine, 'running')
  if (state === 'running') {
    changeState(machine, 'paused')
    changeState(machine, 'running')
  }
  const write = async () => {
    await passTime(world, world.options.captureMs)
    world.refuse({ kind: 'write-stream', runDirectory, paths: [streamPath] })
    if (machine.exit !== undefined)
      throw new DialtoneError('hypervisor-failed', 'the machine ended before its memory was written')
    await keepFile(world, streamPath, memory)
  }
  const written = write()
  // Whoever does not wait for it must not be ended by it.
  written.catch(() => undefined)
  const isRunning = state === 'running' || isHeld === true
  const capturedAt = world.options.wallTime?.() ?? new Date(0)
  return { pauseMs: isRunning ? usualPauseMs : 0, capturedAt, isLive: isRunning, written }
}

export function addFakeOverlays(world: FakeWorld, machine: FakeMachine, overlays: CaptureRequest['overlays']): void {
  const { runDirectory } = machine.definition
  world.refuse({ kind: 'add-overlays', runDirectory, paths: overlays.map(({ path }) => path) })
  putOverlays(machine, overlays)
}

function putOverlays(machine: FakeMachine, overlays: CaptureRequest['overlays']): void {
  for (const { volumeId, path } of overlays)
    machine.layers.set(volumeId, [path, ...(machine.layers.get(volumeId) ?? [])])
}
