/** What things are called, kept for those that are gone, and how ids become names in a timeline. */

import type { ClusterState } from '../../model/cluster-state.ts'
import type { VmId } from '../../model/ids.ts'
import { vmSpecSchema } from '../../model/vm.ts'
import type { Seen } from '../observation.ts'

export type Names = {
  look(seen: Seen): void
  learn(state: ClusterState): void
  vmId(name: string): VmId | undefined
  nameOf(id: string): string | undefined
  /** Ids that nobody gave a name to become `img-…`. */
  without(text: string): string
}

const idPattern = /\b(vm|host|vol|st|tpl|net|task|user|ses|img|layer|sg|svc)-[a-z2-7]{8}\b/g

export function createNames(): Names {
  const names = new Map<string, string>()
  const vmIds = new Map<string, VmId>()
  return {
    look(seen) {
      if (seen.kind !== 'committed') return
      for (const change of seen.changeSet.changes) {
        if (change.kind !== 'put' || !/^vm\/[^/]+\/spec$/.test(change.entry.key)) continue
        const { id, name } = vmSpecSchema.parse(JSON.parse(change.entry.value))
        names.set(id, name)
        vmIds.set(name, id)
      }
    },
    learn({ hosts, storages, templates }) {
      for (const [id, { spec }] of hosts) names.set(id, spec.name)
      for (const [id, { name }] of [...storages, ...templates]) names.set(id, name)
    },
    vmId: (name) => vmIds.get(name),
    nameOf: (id) => names.get(id),
    without: (text) => text.replaceAll(idPattern, (id, noun: string) => names.get(id) ?? `${noun}-…`),
  }
}
