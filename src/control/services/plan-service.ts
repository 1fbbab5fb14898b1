/**
 * What has to be done so that a service is as its file says: which machines are made, changed and deleted, in which order, and why. Pure:
 * same cluster and same file, same steps; nothing is left to do when they are done.
 */
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import { isSame } from '../../model/is-same.ts'
import { flatNetworkName, networksOf, nicsOf } from '../../model/network.ts'
import { leaseProofAfterMs } from '../../model/protection/bounds.ts'
import { memberName, type ServiceRecord } from '../../model/service/service.ts'
import {
  type FileProblem,
  millisecondsOf,
  type ServiceComponent,
  type ServiceFile,
} from '../../model/service/service-file.ts'
import type { ServicePlan, ServiceStep } from '../../model/service/service-plan.ts'
import { findTemplate } from '../templates/admit-template.ts'
import { recoveryOf } from './judge-objective.ts'
import { membersOf } from './service-status.ts'
import { wavesOf } from './start-waves.ts'

export type PlannedService = { readonly plan: ServicePlan; readonly problems: readonly FileProblem[] }

/** `present`: the service as it is, undefined for a new one. `prune`: machines of components that the file doesn't name go. */
export function planService(
  cluster: ClusterState,
  file: ServiceFile,
  { present, prune }: { readonly present: ServiceRecord | undefined; readonly prune: boolean },
): PlannedService {
  const members = present === undefined ? new Map<string, VmRecord[]>() : membersOf(cluster, present.spec.id)
  const waves = wavesOf(file.components)
  const problems: FileProblem[] = []
  const steps: ServiceStep[] = []
  for (const [name, component] of Object.entries(file.components)) {
    problems.push(...examineTemplate(cluster, file, { name, component }))
    const own = { file, name, component, members: members.get(name) ?? [], wave: waves.get(name) ?? 0 }
    steps.push(...stepsOf(own))
    for (const vm of own.members) problems.push(...refuseRemaking(cluster, own, vm))
  }
  for (const [name, machines] of members) {
    if (file.components[name] !== undefined) continue
    const reason = prune
      ? `the file has no component ${name} any more`
      : `the file has no component ${name} any more; --prune deletes it with its disks`
    for (const vm of machines) steps.push({ kind: prune ? 'delete' : 'keep', ...whoIs(vm, name), reason })
  }
  const byWave = (step: ServiceStep) => (step.kind === 'create' ? step.wave : -1)
  const plan = {
    service: file.service,
    isNew: present === undefined,
    steps: steps.toSorted((left, right) => byWave(left) - byWave(right)),
    warnings: warningsOf(cluster, file),
  }
  return { plan, problems }
}

type Own = {
  readonly file: ServiceFile
  readonly name: string
  readonly component: ServiceComponent
  readonly members: readonly VmRecord[]
  readonly wave: number
}

function stepsOf(own: Own): readonly ServiceStep[] {
  const { file, name, component, members, wave } = own
  const numbers = Array.from({ length: component.replicas }, (_, index) => index + 1)
  const missing = numbers.filter((replica) => members.every(({ spec }) => spec.membership?.replica !== replica))
  const creates = missing.map((replica): ServiceStep => {
    const vmName = memberName(file.service, name, replica)
    const waits = [...component.needs, ...component.startsAfter]
    const after = waits.length === 0 ? '' : `, when ${waits.join(', ')} serve${waits.length === 1 ? 's' : ''}`
    const reason = `replica ${replica} of ${component.replicas}${after}`
    return { kind: 'create', vmName, component: name, replica, wave, reason }
  })
  const kept = members.flatMap((vm): readonly ServiceStep[] => {
    const who = whoIs(vm, name)
    if (who.replica > component.replicas)
      return [{ kind: 'delete', ...who, reason: `the file wants ${component.replicas} of ${name}` }]
    const step = changeOf(own, vm)
    return step === undefined ? [] : [step]
  })
  return [...creates, ...kept]
}

function whoIs({ spec }: VmRecord, component: string) {
  return { vmName: spec.name, component, replica: spec.membership?.replica ?? 0 }
}

/** What a machine takes on while it runs. What the file leaves open stays as it is. */
function changeOf({ file, name, component }: Own, vm: VmRecord): ServiceStep | undefined {
  const { spec } = vm
  const wanted = {
    cpus: component.cpus ?? spec.cpus,
    memoryMiB: component.memoryMiB ?? spec.memoryMiB,
    probe: component.probe ?? spec.probe ?? undefined,
    recovery: recoveryOf(file, component),
    drillable: component.drillable,
  }
  const present: Readonly<Record<string, unknown>> = { ...spec, probe: spec.probe ?? undefined }
  const changed = Object.entries(wanted).filter(([field, value]) => !isSame(value, present[field]))
  if (changed.length === 0) return undefined
  const text = (value: unknown) => JSON.stringify(value) ?? 'none'
  const diff = changed.map(([field, value]) => ({ field, from: text(present[field]), to: text(value) }))
  const reason = diff.map(({ field, from, to }) => `${field}: ${from} → ${to}`).join(', ')
  return { kind: 'change', ...whoIs(vm, name), change: Object.fromEntries(changed), diff, reason }
}

/** Without a check nobody would know when it serves: what waits for it would wait for nothing, and no failure of it would be seen. */
function examineTemplate(
  cluster: ClusterState,
  file: ServiceFile,
  { name, component }: { readonly name: string; readonly component: ServiceComponent },
): readonly FileProblem[] {
  const path = ['components', name]
  const template = findTemplate(cluster, component.template)
  if (template === undefined)
    return [{ path: [...path, 'template'], message: `there is no built template ${component.template}` }]
  const problems: FileProblem[] = []
  if (component.probe === undefined && template.readiness === null)
    problems.push({
      path: [...path, 'template'],
      message: `${template.name} has no readiness check: give ${name} a probe, or nobody knows when it serves`,
    })
  if (component.memoryMiB !== undefined && component.memoryMiB < template.minimumMemoryMiB)
    problems.push({
      path: [...path, 'memoryMiB'],
      message: `${template.name} needs at least ${template.minimumMemoryMiB} MiB`,
    })
  if (recoveryOf(file, component).mode !== 'boot' && !template.canResume)
    problems.push({ path, message: `${template.name} can't be resumed from memory: let ${name} recover by boot` })
  const known = networksOf(cluster).map((network) => network.name)
  for (const [place, network] of (component.networks ?? []).entries())
    if (!known.includes(network))
      problems.push({ path: [...path, 'networks', place], message: `there is no network ${network}` })
  return problems
}

/** What a machine has for its whole life. */
function refuseRemaking(
  cluster: ClusterState,
  { file, name, component }: Own,
  { spec }: VmRecord,
): readonly FileProblem[] {
  const template = cluster.templates.get(spec.templateId)
  const names = networksOf(cluster)
  const networks = nicsOf(spec).map(({ networkId }) => names.find(({ id }) => id === networkId)?.name ?? networkId)
  const wantedNetworks = component.networks ?? [flatNetworkName]
  const isOfTemplate = [template?.name, spec.templateId, spec.templateVersion].includes(component.template)
  const fixed = [
    { field: 'template', isSame: isOfTemplate, from: template?.name ?? spec.templateVersion, to: component.template },
    {
      field: 'networks',
      isSame: isSame(networks.toSorted(), wantedNetworks.toSorted()),
      from: networks.join(', '),
      to: wantedNetworks.join(', '),
    },
    { field: 'ha', isSame: spec.ha === (component.ha ?? file.ha), from: spec.ha, to: component.ha ?? file.ha },
    {
      field: 'disks',
      isSame: spec.disks.length - 1 === component.disks.length,
      from: spec.disks.length - 1,
      to: component.disks.length,
    },
  ]
  return fixed.flatMap(({ field, isSame: isKept, from, to }) =>
    isKept
      ? []
      : [
          {
            path: ['components', name, field],
            message: `${spec.name} was made with ${field} ${String(from)}, not ${String(to)}, and keeps that for life: scale ${name} down, or delete ${spec.name}, and apply again`,
          },
        ],
  )
}

/** A host is proven dead only after its lease, watchdog, kill and drain: no recovery of its machines is faster. */
function warningsOf({ cluster }: ClusterState, file: ServiceFile): string[] {
  if (file.recoverWithin === undefined) return []
  const proofMs = leaseProofAfterMs(cluster.timings)
  if (proofMs < millisecondsOf(file.recoverWithin)) return []
  const alone = Object.entries(file.components).flatMap(([name, { replicas }]) => (replicas === 1 ? [name] : []))
  if (alone.length === 0) return []
  return [
    `when a whole host dies, ${alone.join(', ')} may be away for longer than ${file.recoverWithin}: without a power fence it is proven dead after ${proofMs} ms`,
  ]
}
