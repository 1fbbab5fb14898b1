/** An imaginary disk on its way to a copy: what is on it is one line, and the other end of a stream answers that it has it. */
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { DiskMirror, MirrorRequest } from '../disk-mirror.ts'
import { type FakeMachine, type FakeWorld, keepFile, passTime } from './fake-world.ts'

const diskBytes = 1024

export function mirrorFakeDisk(world: FakeWorld, machine: FakeMachine, request: MirrorRequest): DiskMirror {
  const { volumeId, target } = request
  const written = () => machine.layers.get(volumeId)?.[0]
  const content = () => world.files.get(written() ?? '') ?? ''
  const isSwitched = () => target.kind === 'file' && written() === target.disk.path
  const state = { isReady: isSwitched(), isBroken: false, isOver: false }
  const fail = (): never => {
    throw new DialtoneError('hypervisor-failed', `the copying of ${volumeId} broke off`)
  }
  const refuse = () => {
    state.isBroken ||= target.kind === 'stream' && target.stream.destroyed && !state.isOver
    if (state.isBroken || machine.exit !== undefined || (state.isOver && !isSwitched())) fail()
  }
  const copy = async () => {
    if (state.isReady) return
    await passTime(world, world.options.mirrorMs)
    if (target.kind === 'stream' && !(await isTaken(target.stream, content()))) state.isBroken = true
    refuse()
    state.isReady = true
  }
  if (target.kind === 'stream') target.stream.once('close', () => void (state.isBroken ||= !state.isOver))
  const ready = copy()
  ready.catch(() => undefined)
  return {
    ready,
    progress: async () => {
      refuse()
      return { copiedBytes: state.isReady ? diskBytes : 0, totalBytes: diskBytes }
    },
    finish: async () => {
      refuse()
      if (!state.isReady) fail()
      state.isOver = true
      if (target.kind === 'file') await keepFile(world, target.disk.path, content())
      else target.stream.destroy()
    },
    switchOver: async () => {
      if (isSwitched()) return
      refuse()
      if (!state.isReady || target.kind !== 'file') return fail()
      world.refuse({ kind: 'switch-disk', runDirectory: machine.definition.runDirectory, paths: [target.disk.path] })
      await keepFile(world, target.disk.path, content())
      machine.layers.set(volumeId, [target.disk.path])
      state.isOver = true
    },
    cancel: async () => {
      state.isOver = true
      if (target.kind === 'stream') target.stream.destroy()
    },
  }
}

/** The end of a disk that is filled: keeps the line that comes in, and says so. */
export function fakeDiskStream(world: FakeWorld, path: string): Duplex {
  let text = ''
  const stream: Duplex = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString()
      if (text.endsWith('\n')) void keepFile(world, path, text.slice(0, -1)).then(() => stream.push('copied\n'))
      done()
    },
  })
  stream.on('error', () => undefined)
  return stream
}

async function isTaken(stream: Duplex, content: string): Promise<boolean> {
  if (stream.destroyed) return false
  const answer = Promise.race([once(stream, 'data'), once(stream, 'close').then(() => undefined)])
  stream.write(`${content}\n`)
  return String((await answer.catch(() => undefined)) ?? '') === 'copied\n'
}
