/** What the stand-in controller answers about names, tags and notes. */
import type { ApiContract } from '../../model/api/contract.ts'
import type { namingRoutes } from '../../model/api/naming-routes.ts'
import type { VmView } from '../../model/api/views.ts'
import { changedTags } from '../../model/tags.ts'
import type { Handlers } from '../../transport/mount-contract.ts'

export function makeNamingHandlers(
  found: (reference: string) => VmView,
): Pick<Handlers<ApiContract>, keyof typeof namingRoutes> {
  return {
    nameVm: ({ params, body: { name } }) => ({ ...found(params.vm), name }),
    tagVm({ params, body }) {
      const vm = found(params.vm)
      return { ...vm, tags: changedTags(vm.tags, body) }
    },
    noteVm: ({ params, body: { note } }) => ({ ...found(params.vm), note }),
  }
}
