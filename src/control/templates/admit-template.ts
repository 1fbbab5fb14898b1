/** Whether a machine may become a template version, and whether a version may go. Pure. */
import type { TemplateSpec } from '../../model/cluster.ts'
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import type { ErrorCode } from '../../model/dialtone-error.ts'
import { blankTemplate, templateVersionSchema } from '../../model/template-manifest.ts'
import { refuseClone, refuseSnapshot } from '../snapshots/admit-snapshot.ts'

export type TemplateWish = {
  readonly name: string
  /** Tells it from others of this name; the next number when left out. */
  readonly version?: string | undefined
  readonly memoryMiB?: number | undefined
  /** The machine's further disks stay behind. */
  readonly rootOnly: boolean
}

export type TemplateAdmission =
  | { readonly kind: 'admitted'; readonly version: string; readonly template: TemplateSpec }
  | TemplateRefusal
export type TemplateRefusal = { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }

export type TemplateQuestion = {
  readonly wish: TemplateWish
  /** Of the snapshot that is to be taken; undefined when there is one already. */
  readonly snapshotName: string | undefined
  /** Versions that stand where they are kept, whoever knows of them, and those that there have been. */
  readonly taken: readonly string[]
}

export function admitTemplate(
  cluster: ClusterState,
  vm: VmRecord,
  { wish, snapshotName, taken: lying }: TemplateQuestion,
): TemplateAdmission {
  const { spec } = vm
  const template = cluster.templates.get(spec.templateId)
  if (template === undefined)
    return refused('template-not-built', `the template of ${spec.name}, ${spec.templateVersion}, is gone`)
  if (wish.name === blankTemplate) return refused('name-taken', `${blankTemplate} is the template of empty disks`)
  const taken = [...cluster.templates.values()].flatMap((other) => [other.name, other.version]).concat(lying)
  const number = versionsOf(cluster, wish.name).length + 1
  const version = templateVersionSchema.safeParse(`${wish.name}-${wish.version ?? nextFree(taken, wish.name, number)}`)
  if (!version.success)
    return refused('invalid-input', `${wish.name} and its version are too long: 63 letters together at the most`)
  if (taken.includes(version.data))
    return refused('name-taken', `there is, or was, a template of version ${version.data}: give it another --version`)
  if ([...cluster.templates.values()].some((other) => other.version === wish.name))
    return refused('name-taken', `${wish.name} is a version of another template: give it another name`)
  const others = spec.disks.length - 1
  if (others > 0 && !wish.rootOnly)
    return refused(
      'invalid-input',
      `${spec.name} has ${others === 1 ? 'another disk' : `${others} further disks`}, and a template has one: leave them behind with --root-only`,
    )
  if (spec.guest.tpm)
    return refused('image-unfit', `${spec.name} has a TPM: what is sealed in it can be opened by no other machine`)
  if (wish.memoryMiB !== undefined && wish.memoryMiB < template.minimumMemoryMiB)
    return refused('invalid-input', `machines of ${template.name} need at least ${template.minimumMemoryMiB} MiB`)
  const busy =
    snapshotName === undefined
      ? refuseClone(cluster, vm)
      : refuseSnapshot(cluster, vm, { name: snapshotName, kind: 'disk' })
  return busy === undefined ? { kind: 'admitted', version: version.data, template } : { kind: 'refused', ...busy }
}

/** Undefined when it may go. A machine of it needs its kernel to start, and its disk on a host that has no copy yet. */
export function refuseTemplateDeletion(cluster: ClusterState, template: TemplateSpec): TemplateRefusal | undefined {
  if (template.name === blankTemplate)
    return refused('wrong-state', `${blankTemplate} is the template of empty disks: it stays`)
  const users = machinesOf(cluster, template)
  if (users.length === 0) return undefined
  return refused('in-use', `${template.version} is the template of ${users.join(', ')}: delete them first`)
}

/** Names of the machines that were made from it. */
export function machinesOf({ vms }: ClusterState, { version }: TemplateSpec): readonly string[] {
  const made = [...vms.values()].filter(({ spec }) => spec.templateVersion === version)
  return made.map(({ spec }) => spec.name).toSorted()
}

/** All versions of a name, the newest first: that is what a new machine is made from. */
export function versionsOf({ templates }: ClusterState, name: string): readonly TemplateSpec[] {
  const versions = [...templates.values()].filter((template) => template.name === name)
  return versions.sort((left, right) => right.builtAt.localeCompare(left.builtAt))
}

/** By version or id; by name: its newest version. */
export function findTemplate(cluster: ClusterState, reference: string): TemplateSpec | undefined {
  const exact = [...cluster.templates.values()].find(({ id, version }) => id === reference || version === reference)
  return exact ?? versionsOf(cluster, reference)[0]
}

function nextFree(taken: readonly string[], name: string, from: number): number {
  let number = from
  while (taken.includes(`${name}-${number}`)) number += 1
  return number
}

function refused(code: ErrorCode, message: string): TemplateRefusal {
  return { kind: 'refused', code, message }
}
