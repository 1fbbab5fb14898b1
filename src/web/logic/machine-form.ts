/** What somebody fills in for a new machine, as a call of the API and as a command. */

import type { VmView } from '../../model/api/views.ts'
import type { CreateVmInput } from '../../model/api/vm-routes.ts'
import type { Recovery } from '../../model/recovery/recovery-policy.ts'

export type MachineForm = {
  readonly template: string
  readonly name: string
  readonly cpus: number
  readonly memoryMiB: number
  /** Empty: where it fits. */
  readonly storage: string
  /** Empty: the flat one. */
  readonly network: string
  readonly ha: boolean
  readonly recovery: Recovery['mode']
  /** One a line. */
  readonly sshKeys: string
}

export function machineWish(form: MachineForm): CreateVmInput {
  const keys = keysOf(form)
  return {
    name: form.name,
    template: form.template,
    cpus: form.cpus,
    memoryMiB: form.memoryMiB,
    ha: form.ha,
    recovery: form.recovery === 'checkpoint' ? { mode: 'checkpoint', everySeconds: 300 } : { mode: form.recovery },
    ...(form.storage === '' ? {} : { storage: form.storage }),
    ...(form.network === '' ? {} : { networks: [{ network: form.network }] }),
    ...(keys.length === 0 ? {} : { cloudInit: { userData: null, sshKeys: [...keys], networkConfig: null } }),
  }
}

export function machineCommand(form: MachineForm): string {
  const words = [
    `dialtone vm create ${form.name} --template ${form.template} --cpus ${form.cpus} --memory ${form.memoryMiB}MiB`,
    ...(form.storage === '' ? [] : [`--storage ${form.storage}`]),
    ...(form.network === '' ? [] : [`--network ${form.network}`]),
    ...(form.ha ? ['--ha'] : []),
    ...(form.recovery === 'boot' ? [] : [`--recover ${form.recovery}`]),
    ...(keysOf(form).length === 0 ? [] : ['--ssh-key FILE']),
  ]
  return words.join(' ')
}

/** `web-3`, when there are web-1 and web-2. */
export function nextName(stem: string, vms: Iterable<VmView>): string {
  const taken = new Set([...vms].map(({ name }) => name))
  let number = 1
  while (taken.has(`${stem}-${number}`)) number += 1
  return `${stem}-${number}`
}

function keysOf({ sshKeys }: MachineForm): readonly string[] {
  return sshKeys
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
