/** Follows a wish for another power state until it is true. The wish itself stands in the VM's spec; this only waits, and tells. */
import { z } from 'zod'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { vmIdSchema } from '../../model/ids.ts'
import type { Leader } from '../leader.ts'
import { defineSaga, type RunnableSaga } from '../tasks/saga.ts'
import { isRunning } from './create-vm.ts'
import { type VmCondition, waitForVm } from './wait-for-vm.ts'

const journalSchema = z.object({ vmId: vmIdSchema, timeoutMs: z.number() })

export const powerTaskKinds = ['vm.start', 'vm.stop', 'vm.kill', 'vm.pause', 'vm.resume'] as const
export type PowerTaskKind = (typeof powerTaskKinds)[number]

export function powerSagas(leader: Leader): readonly RunnableSaga[] {
  return powerTaskKinds.map((kind) =>
    defineSaga<z.infer<typeof journalSchema>>({
      kind,
      journalSchema,
      pointOfNoReturn: 'wait',
      steps: [
        {
          name: 'wait',
          message: messages[kind],
          timeoutMs: 3_600_000,
          run: async ({ journal, signal }) => {
            const inTime = new AbortController()
            const timer = new AbortController()
            const late = () => inTime.abort(new DialtoneError('deadline-exceeded', lateMessages[kind]))
            void leader.clock.sleep(journal.timeoutMs, timer.signal).then(late)
            const either = AbortSignal.any([signal, inTime.signal])
            await waitForVm(leader, journal.vmId, { signal: either, condition: conditions[kind] }).finally(() =>
              timer.abort(),
            )
          },
        },
      ],
    }),
  )
}

const messages: Readonly<Record<PowerTaskKind, string>> = {
  'vm.start': 'waits until it runs',
  'vm.stop': 'pressed its power button and waits until it is down',
  'vm.kill': 'cuts its power',
  'vm.pause': 'stops its vCPUs',
  'vm.resume': 'lets its vCPUs go on',
}

const lateMessages: Readonly<Record<PowerTaskKind, string>> = {
  'vm.start': 'it does not run yet; it goes on trying: look at dialtone vm show',
  'vm.stop': 'the guest did not shut down in time; cut its power with: dialtone vm kill',
  'vm.kill': 'its host has not confirmed that it is dead',
  'vm.pause': 'its host has not paused it yet',
  'vm.resume': 'its host has not resumed it yet',
}

const stopped: VmCondition = (vm) => {
  if (vm === undefined || vm.status?.state === 'stopped') return 'yes'
  return vm.spec.desired === 'stopped'
    ? 'not-yet'
    : new DialtoneError('cancelled', `${vm.spec.name} is wanted running meanwhile`)
}

const conditions: Readonly<Record<PowerTaskKind, VmCondition>> = {
  'vm.start': (vm) => (vm?.status?.state === 'failed' ? 'not-yet' : isRunning(vm)),
  'vm.stop': stopped,
  'vm.kill': stopped,
  'vm.pause': (vm) =>
    vm?.status?.state === 'paused'
      ? 'yes'
      : vm === undefined || vm.spec.desired !== 'paused'
        ? new DialtoneError('cancelled', 'it is no longer wanted paused')
        : 'not-yet',
  'vm.resume': (vm) =>
    vm?.status?.state === 'running'
      ? 'yes'
      : vm === undefined || vm.spec.desired !== 'running'
        ? new DialtoneError('cancelled', 'it is no longer wanted running')
        : 'not-yet',
}
