/** Brings the machine into a state of the table, and knows whether it is still in it. */
import assert from 'node:assert/strict'
import type { VmView } from '../../src/model/api/views.ts'
import type { Subject } from './subject.ts'
import type { State } from './table.ts'

export const small = { cpus: 1, memoryMiB: 192 } as const
export const large = { cpus: 2, memoryMiB: 320 } as const

/** A number that changes with every life of the machine. */
type Life = number | null

/** Remembers which life it brought into the state: whatever ended that has to be made good before the next operation. */
export function stateKeeper(subject: Subject, state: State) {
  let entered: Life | undefined
  const life = async (): Promise<Life> => (await subject.look()).status.pid
  return {
    async enter(): Promise<void> {
      const { status } = await subject.look()
      const isOff = status.state === 'stopped'
      if (entered !== undefined && entered === (isOff ? null : status.pid)) return
      await enterState(subject, state)
      entered = await life()
    },
    /** It may have another process, and is as it was: after a move. */
    async hasMoved(): Promise<void> {
      entered = (await life()) ?? undefined
    },
  }
}

async function enterState(subject: Subject, state: State): Promise<void> {
  const { api, name } = subject
  const params = { vm: name }
  switch (state) {
    case 'stopped':
      return subject.done(api.call('killVm', { params }))
    case 'running':
    case 'migrating':
      await subject.done(api.call('startVm', { params }))
      await subject.answer()
      return
    case 'grown':
      return grow(subject)
    case 'resumed':
      return resume(subject)
  }
}

/** Processors, memory and a disk come while it runs. */
export async function grow(subject: Subject): Promise<void> {
  const { api, name } = subject
  const params = { vm: name }
  await subject.done(api.call('killVm', { params }))
  if ((await subject.look()).disks.length > 1)
    await subject.done(api.call('detachDisk', { params: { vm: name, disk: '1' }, query: {} }))
  await api.call('changeVm', { params, body: { ...small } })
  await subject.done(api.call('startVm', { params }))
  await subject.answer()
  await api.call('changeVm', { params, body: { ...large } })
  const hasDisk = (await subject.look()).disks.length > 1
  const body = hasDisk ? { disk: '1' } : { sizeMiB: 64 }
  await subject.done(api.call('attachDisk', { params, body }))
  const { pending } = await subject.fitted()
  assert.deepEqual(pending, [])
}

async function resume(subject: Subject): Promise<void> {
  const { api, name } = subject
  await subject.done(api.call('startVm', { params: { vm: name } }))
  await dieAndResume(subject, { mode: 'warm' })
}

/** Its process is killed once there is an image of its memory, and it goes on from that: a warm one may be of an earlier life. */
export async function dieAndResume(subject: Subject, recovery: VmView['recovery']): Promise<void> {
  const { api, name, laboratory } = subject
  await api.call('changeVm', { params: { vm: name }, body: { recovery } })
  // Its host has heard of it: what stands ready is what was asked for.
  await subject.fitted()
  const { status } = await laboratory.untilReady(name)
  assert(status.pid)
  // As a drill: one that fails again and again would be booted instead.
  await subject.done(api.call('drillVm', { params: { vm: name }, body: { kind: 'kill-qemu', confirmed: true } }))
  const again = await laboratory.untilPid(name, status.pid)
  assert.equal(again.status.recovery?.startedBy, 'resume')
  await subject.answer()
}
