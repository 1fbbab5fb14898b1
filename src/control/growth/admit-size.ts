/** Whether a VM may have other processors and memory: where it runs there has to be room, and the reserve stays whole. Pure. */
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import type { ErrorCode } from '../../model/dialtone-error.ts'
import { type Growth, usualGrowth } from '../../model/growth.ts'
import type { VmSpec } from '../../model/vm.ts'
import { describeVerdicts, placeVm } from '../place-vm.ts'
import { isWanted } from '../placement/host-occupants.ts'
import { refuseByReserve } from '../placement/judge-reserve.ts'

export type SizeWish = {
  readonly cpus?: number | undefined
  readonly memoryMiB?: number | undefined
  /** Also when it breaks the reserve for failing hosts. */
  readonly isForced: boolean
}

export type SizeVerdict =
  | { readonly kind: 'admitted'; readonly spec: VmSpec }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string; readonly detail?: unknown }

export function admitSize(cluster: ClusterState, vm: VmRecord, wish: SizeWish): SizeVerdict {
  const { spec } = vm
  const { cpus = spec.cpus, memoryMiB = spec.memoryMiB, isForced } = wish
  const refused = (code: ErrorCode, message: string, detail?: unknown) =>
    ({ kind: 'refused', code, message, ...(detail === undefined ? {} : { detail }) }) as const
  const template = cluster.templates.get(spec.templateId)
  if (template !== undefined && memoryMiB < template.minimumMemoryMiB)
    return refused(
      'invalid-input',
      `${template.name} needs at least ${template.minimumMemoryMiB} MiB of memory, ${memoryMiB} MiB were asked for`,
    )
  const next: VmSpec = { ...spec, cpus, memoryMiB, growth: growthFor(spec.growth, { cpus, memoryMiB }) }
  const grows = cpus > spec.cpus || memoryMiB > spec.memoryMiB
  if (!grows || vm.placement === undefined || !isWanted(vm)) return { kind: 'admitted', spec: next }
  const { hostId } = vm.placement
  const here = placeVm(cluster, next, { required: hostId })
  if (here.kind === 'no-host-fits') {
    const why = here.verdicts.find((verdict) => verdict.hostId === hostId)?.reason ?? 'it is gone'
    const name = cluster.hosts.get(hostId)?.spec.name ?? hostId
    const message = `${spec.name} can't grow on ${name}: ${why}; ${whereElse(cluster, next, hostId)}`
    return refused('no-host-fits', message, { verdicts: here.verdicts })
  }
  const broken = isForced ? undefined : refuseByReserve(cluster, { vm: { ...vm, spec: next }, hostId })
  if (broken !== undefined) return refused('reserve-broken', `${spec.name} does not grow: ${broken}`)
  return { kind: 'admitted', spec: next }
}

/** As it is while that has room enough; new room comes with the next start. */
function growthFor(growth: Growth | null, wanted: { readonly cpus: number; readonly memoryMiB: number }): Growth {
  const fits = growth !== null && wanted.cpus <= growth.maximumCpus && wanted.memoryMiB <= growth.maximumMemoryMiB
  return fits ? growth : usualGrowth(wanted)
}

/** The host that it would grow on, and the way there. */
function whereElse(cluster: ClusterState, next: VmSpec, hostId: NonNullable<VmRecord['placement']>['hostId']): string {
  const excluded = new Map([[hostId, 'it runs there']])
  const there = placeVm(cluster, next, { excluded, bringsDisks: {} })
  if (there.kind === 'no-host-fits')
    return `nor would another host have room: ${describeVerdicts(there.verdicts.filter((verdict) => verdict.hostId !== hostId))}`
  const name = cluster.hosts.get(there.hostId)?.spec.name ?? there.hostId
  return `${name} has room: dialtone vm migrate ${next.name} --to ${name}, then again`
}
