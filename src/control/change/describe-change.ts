/** What a change did to a machine, in sentences. Pure. */
import type { VmCondition } from '../../model/snapshots/vm-change.ts'

const services = {
  unprobed: 'nobody looks whether it serves',
  unknown: 'nobody knows whether it serves',
  correct: 'it serves',
  wrong: 'it does not serve',
} as const

export function describeChange(before: VmCondition, after: VmCondition): readonly string[] {
  const sentences = [
    before.service === after.service
      ? `${services[after.service]}, as before`
      : `${services[after.service]}; before, ${services[before.service]}`,
  ]
  if (before.bootId !== null && after.bootId !== null)
    sentences.push(before.bootId === after.bootId ? 'its guest was not rebooted' : 'its guest was rebooted')
  if (after.writtenMiB !== null) sentences.push(`${after.writtenMiB} MiB were written to its disks`)
  const crashes = after.crashes - before.crashes
  if (crashes > 0) sentences.push(`it failed ${crashes === 1 ? 'once' : `${crashes} times`}`)
  return sentences
}
