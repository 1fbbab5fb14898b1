/**
 * Names of everything a laboratory makes on the machine. All of them follow from the laboratory's name, so that `down` finds what a killed
 * `up` left behind, and nothing else.
 */
import { z } from 'zod'

/** An interface's name has at most 15 characters, three of which are `dt-`. */
export const laboratoryNameSchema = z
  .string()
  .regex(
    /^[a-z](?:[a-z0-9-]{0,10}[a-z0-9])?$/,
    'must be 1 to 12 small letters, digits and hyphens, beginning with a letter and ending with a letter or digit',
  )

export const defaultLaboratoryName = 'lab'

/** The machine's one interface into the laboratory. */
export function interfaceOf(laboratory: string): string {
  return `dt-${laboratory}`
}

/** The namespace with the bridge that all hosts are plugged into. */
export function fabricNamespaceOf(laboratory: string): string {
  return `dt-${laboratory}-fab`
}

export function hostNamespaceOf(laboratory: string, host: string): string {
  return `dt-${laboratory}-${host}`
}

/** The storage server's port on the fabric. */
export const storagePort = 'nas'

export function storageNamespaceOf(laboratory: string): string {
  return `dt-${laboratory}-${storagePort}`
}

/** True for the namespaces of this laboratory; `dt-a-h1-fab` belongs to the laboratory `a-h1`, not to `a`. */
export function isNamespaceOf(laboratory: string, namespace: string): boolean {
  const prefix = `dt-${laboratory}-`
  return namespace.startsWith(prefix) && /^(?:fab|nas|h\d+)$/.test(namespace.slice(prefix.length))
}

/** The laboratory's cgroup, below the mount of cgroup v2. */
export function cgroupNameOf(laboratory: string): string {
  return `dialtone-${laboratory}`
}

/** Written into the interface's alias, so that another home's laboratory of the same name is recognised. */
export function ownerMarkOf(folder: string): string {
  return `dialtone:${folder}`
}

/** Names of the hosts: h1, h2, … */
export function hostNameOf(number: number): string {
  return `h${number}`
}
