/**
 * Takes a disk or a network card out of a VM. The guest has to let go first: until its agent says that it has, the disk stays the machine's
 * and the card's address is nobody else's. A guest that holds on keeps it, and the VM is what it was.
 */
import { z } from 'zod'
import { refuseChange } from '../../control/growth/admit-disk.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { nicNumberSchema } from '../../model/hardware.ts'
import { storageIdSchema, vmIdSchema, volumeIdSchema } from '../../model/ids.ts'
import { cardFields, nicsOf } from '../../model/network.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, put, unchanged, untilCommitted } from '../leader.ts'
import { addressClaimOf } from '../networks/card-claims.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import { holdsOf, waitUntilFitted } from './fit-wait.ts'
import { authorityOf, hostForStorage } from './host-for-storage.ts'
import { waitForVm } from './wait-for-vm.ts'

const journalSchema = z.object({
  vmId: vmIdSchema,
  what: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('disk'), volumeId: volumeIdSchema, isToBeDeleted: z.boolean() }),
    z.object({ kind: z.literal('card'), number: nicNumberSchema }),
  ]),
  /** Where the disk is: nobody else knows once it is not the VM's any more. */
  storageId: storageIdSchema.optional(),
  summary: z.string().optional(),
})
type Journal = z.infer<typeof journalSchema>
type What = Journal['what']

export const detachKinds = ['vm.detach-disk', 'vm.detach-card'] as const

export function detachSagas(leader: Leader, agents: AgentPort): readonly RunnableSaga[] {
  return detachKinds.map((kind) =>
    defineSaga<Journal>({
      kind,
      journalSchema,
      pointOfNoReturn: 'forget',
      steps: [
        {
          name: 'ask',
          message: 'asks its guest to let go',
          timeoutMs: 30_000,
          run: async ({ journal }) => {
            await mark(leader, journal, true)
            return storageOf(leader, journal)
          },
          undo: async ({ journal }) => mark(leader, journal, undefined),
        },
        {
          name: 'wait',
          message: 'waits until its guest has let go',
          timeoutMs: 60_000,
          run: (context) => waitForGuest(leader, context),
        },
        {
          name: 'forget',
          isRepeated: true,
          message: 'enters it',
          timeoutMs: 60_000,
          run: (context) => forget(leader, agents, context),
        },
      ],
    }),
  )
}

function storageOf(leader: Leader, { vmId, what }: Journal): Partial<Journal> {
  const disk = leader.index
    .state()
    .vms.get(vmId)
    ?.spec.disks.find(({ volumeId }) => what.kind === 'disk' && volumeId === what.volumeId)
  return disk === undefined ? {} : { storageId: disk.storageId }
}

async function mark(leader: Leader, { vmId, what }: Journal, isDetached: true | undefined): Promise<void> {
  await untilCommitted('the VM', async () => {
    const state = leader.index.state()
    const vm = state.vms.get(vmId)
    if (vm === undefined) {
      if (isDetached === undefined) return true
      throw new DialtoneError('not-found', 'the VM was deleted')
    }
    const busy = isDetached === true ? refuseChange(state, vm) : undefined
    if (busy !== undefined) throw new DialtoneError(busy.code, busy.message)
    const result = await commitAndSee(leader, {
      conditions: isStillFree(leader, vmId),
      writes: [put(keys.vm(vmId), marked(vm.spec, what, isDetached))],
    })
    return result.kind === 'committed' ? true : undefined
  })
}

function marked(spec: VmSpec, what: What, isDetached: true | undefined): VmSpec {
  if (what.kind === 'disk')
    return {
      ...spec,
      disks: spec.disks.map((disk) => (disk.volumeId === what.volumeId ? { ...disk, isDetached } : disk)),
    }
  const [first, ...more] = nicsOf(spec)
  if (first === undefined) return spec
  return {
    ...spec,
    ...cardFields(
      first,
      more.map((nic) => (nic.number === what.number ? { ...nic, isDetached } : nic)),
    ),
  }
}

/** What it began with it keeps until its next start: a disk is only marked then, and a card can't go. */
async function waitForGuest(
  leader: Leader,
  { journal: { vmId, what }, signal }: StepContext<Journal>,
): Promise<Partial<Journal>> {
  const { isFitted, summary } = await waitUntilFitted(leader, vmId, { isMet: (vm) => isGone(vm, what), signal })
  if (isFitted) return { summary: '' }
  const isMarkEnough = what.kind === 'disk' && !what.isToBeDeleted && summary.includes('at its next start')
  if (isMarkEnough) return { summary }
  throw new DialtoneError('guest-silent', `it is still in use, and stays: ${summary || 'its host does not tell'}`)
}

function isGone(vm: VmRecord, what: What): boolean {
  return holdsOf(vm, ({ disks, cards }) =>
    what.kind === 'disk' ? disks.every(({ volumeId }) => volumeId !== what.volumeId) : !cards.includes(what.number),
  )
}

/** Resolves as soon as nobody moves it, nor works on its disks: whoever does began with what is to be forgotten, and claims it where it goes. */
async function whileNobodyWorksOnIt(leader: Leader, vmId: Journal['vmId'], signal: AbortSignal): Promise<void> {
  const isFree = (vm: VmRecord | undefined) => vm?.migration === undefined && vm?.operation === undefined
  await waitForVm(leader, vmId, { signal, condition: (vm) => (isFree(vm) ? 'yes' : 'not-yet') })
}

/** The VM is what it was when this was decided, and nobody has begun to move it or to work on its disks since. */
function isStillFree(leader: Leader, vmId: Journal['vmId']) {
  return [keys.vm(vmId), keys.vmMigration(vmId), keys.vmOperation(vmId)].map((key) => unchanged(leader, key))
}

async function forget(
  leader: Leader,
  agents: AgentPort,
  { journal, task, signal }: StepContext<Journal>,
): Promise<void> {
  const { vmId, what, storageId } = journal
  if (what.kind === 'card') return forgetCard(leader, { vmId, number: what.number, user: task.user, signal })
  if (!what.isToBeDeleted) return
  // First it is nobody's: whatever is started from now on doesn't know of it.
  await untilCommitted('the VM', async () => {
    await whileNobodyWorksOnIt(leader, vmId, signal)
    const present = leader.index.state().vms.get(vmId)
    if (present === undefined) return true
    const { spec } = present
    const disks = spec.disks.filter(({ volumeId }) => volumeId !== what.volumeId)
    const message = `the disk ${what.volumeId} was taken out and deleted`
    const result = await commitAndSee(leader, {
      conditions: isStillFree(leader, vmId),
      writes: [
        put(keys.vm(vmId), { ...spec, disks }),
        { kind: 'delete', key: keys.volume(what.volumeId) },
        leader.events.write({ kind: 'vm.disk-deleted', subject: spec.name, message, vmId, user: task.user }),
      ],
    })
    return result.kind === 'committed' ? true : undefined
  })
  if (storageId === undefined) return
  const host = hostForStorage(leader, storageId, undefined)
  await agents.deleteVolume(host.spec, { authority: authorityOf(leader, host), volumeId: what.volumeId, storageId })
}

async function forgetCard(
  leader: Leader,
  {
    vmId,
    number,
    user,
    signal,
  }: Pick<StepContext<Journal>, 'signal'> & {
    readonly vmId: Journal['vmId']
    readonly number: number
    readonly user: string | undefined
  },
): Promise<void> {
  await untilCommitted('the VM', async () => {
    await whileNobodyWorksOnIt(leader, vmId, signal)
    const vm = leader.index.state().vms.get(vmId)
    const [first, ...more] = vm === undefined ? [] : nicsOf(vm.spec)
    const card = more.find((nic) => nic.number === number)
    if (vm === undefined || first === undefined || card === undefined) return true
    const { spec } = vm
    const rest = more.filter((nic) => nic.number !== number)
    const message = `card ${number} with ${card.address} was removed by ${user ?? 'nobody'}`
    const result = await commitAndSee(leader, {
      conditions: isStillFree(leader, vmId),
      writes: [
        put(keys.vm(vmId), { ...spec, ...cardFields(first, rest) }),
        { kind: 'delete', key: addressClaimOf(card) },
        leader.events.write({ kind: 'vm.nic-removed', subject: spec.name, message, vmId, user }),
      ],
    })
    return result.kind === 'committed' ? true : undefined
  })
}
