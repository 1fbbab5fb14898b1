/** The list of machines: what is searched, filtered and sorted by. All of it stands in the address, so that a view can be sent to somebody. */
import { z } from 'zod'
import type { VmView } from '../../model/api/views.ts'

export const machineColumns = ['name', 'state', 'host', 'address', 'cpus', 'memory', 'recovery'] as const

export const machineSearchSchema = z.object({
  q: z.string().optional().catch(undefined),
  state: z.string().optional().catch(undefined),
  host: z.string().optional().catch(undefined),
  ha: z.boolean().optional().catch(undefined),
  sort: z.enum(machineColumns).optional().catch(undefined),
  down: z.boolean().optional().catch(undefined),
})
export type MachineSearch = z.infer<typeof machineSearchSchema>

/** The machines that match all of it, in the order that was asked for; by name when none was. */
export function selectMachines(vms: Iterable<VmView>, search: MachineSearch): readonly VmView[] {
  const words = (search.q ?? '').toLowerCase().split(/\s+/).filter(Boolean)
  const found = [...vms].filter(
    (vm) =>
      (search.state === undefined || vm.status.state === search.state) &&
      (search.host === undefined || vm.hostName === search.host) &&
      (search.ha === undefined || vm.ha === search.ha) &&
      words.every((word) => textOf(vm).includes(word)),
  )
  const column = search.sort ?? 'name'
  const direction = search.down === true ? -1 : 1
  return found.sort((left, right) => direction * compare(left, right, column) || byName(left, right))
}

/** Everything of it that a person may remember. */
function textOf({ name, address, hostName, templateName, id, placementRules, status }: VmView): string {
  const labels = Object.entries(placementRules.labels).map(([key, value]) => `${key}=${value}`)
  return [name, address, hostName ?? '', templateName, id, status.state, ...labels].join(' ').toLowerCase()
}

function compare(left: VmView, right: VmView, column: (typeof machineColumns)[number]): number {
  switch (column) {
    case 'name':
      return byName(left, right)
    case 'state':
      return left.status.state.localeCompare(right.status.state)
    case 'host':
      return (left.hostName ?? '').localeCompare(right.hostName ?? '', 'en', { numeric: true })
    case 'address':
      return addressNumber(left.address) - addressNumber(right.address)
    case 'cpus':
      return left.cpus - right.cpus
    case 'memory':
      return left.memoryMiB - right.memoryMiB
    case 'recovery':
      return left.recovery.mode.localeCompare(right.recovery.mode)
  }
}

const names = new Intl.Collator('en', { numeric: true })
const byName = (left: VmView, right: VmView): number => names.compare(left.name, right.name)

function addressNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}
