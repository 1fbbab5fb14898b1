/** What the paper of a template says that is made from a machine: what its machine is, and for the rest what its own template says. Pure. */
import type { Snapshot } from '../../model/snapshots/snapshot.ts'
import type { TemplateManifest } from '../../model/template-manifest.ts'
import type { VmSpec } from '../../model/vm.ts'

export type TemplateParameters = {
  readonly name: string
  readonly version: string
  readonly note: string
  readonly memoryMiB?: number | undefined
  readonly cpus?: number | undefined
  readonly ports?: readonly number[] | undefined
}

/** The instant that its disk is of. */
export type TemplateInstant = Pick<Snapshot, 'takenAt' | 'consistency' | 'machine'> & {
  /** Null: it was taken for this. */
  readonly snapshotName: string | null
}

/** `base`: of the machine's own template. */
export function describeTemplate(
  { name, version, note, memoryMiB, cpus, ports }: TemplateParameters,
  of: { readonly vm: VmSpec; readonly base: TemplateManifest; readonly instant: TemplateInstant },
): Omit<TemplateManifest, 'files' | 'builtAt'> {
  const { vm, base, instant } = of
  const { files: _files, builtAt: _builtAt, guest: _guest, ...rest } = base
  const { takenAt, consistency, machine, snapshotName } = instant
  return {
    ...rest,
    ...(vm.guest.boot === 'kernel' ? {} : { os: vm.guest.os, guest: vm.guest }),
    name,
    version,
    description: note === '' ? `Made from ${machine.name}.` : note,
    defaultMemoryMiB: Math.max(memoryMiB ?? machine.memoryMiB, base.minimumMemoryMiB),
    defaultCpus: cpus ?? machine.cpus,
    ports: [...(ports ?? base.ports)],
    readiness: vm.probe?.check ?? base.readiness,
    origin: 'machine',
    madeFrom: { vmName: machine.name, snapshotName, takenAt, consistency },
  }
}
