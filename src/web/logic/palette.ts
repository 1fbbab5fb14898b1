/** The command palette: every page, object and action by a few letters. */
import type { UserRole } from '../../model/access.ts'
import type { CloudState } from '../cloud/cloud-state.ts'
import { obstacleTo, vmActions } from './vm-actions.ts'

export type PaletteItem = {
  readonly key: string
  readonly title: string
  readonly kind: 'page' | 'machine' | 'host' | 'action'
  readonly run: { readonly go: string } | { readonly action: (typeof vmActions)[number]; readonly vm: string }
}

export type Page = { readonly path: string; readonly title: string }

const most = 12

/** The best matches first. Actions come once a machine is named: nobody wants twenty thousand times eight of them. */
export function searchPalette(
  query: string,
  { state, pages, role }: { readonly state: CloudState; readonly pages: readonly Page[]; readonly role: UserRole },
): readonly PaletteItem[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  const actionWord = vmActions.find((action) => words.some((word) => word.length > 1 && action.startsWith(word)))
  const nameWords = words.filter((word) => actionWord === undefined || !actionWord.startsWith(word))
  const matches = (title: string, wanted: readonly string[]) =>
    wanted.every((word) => title.toLowerCase().includes(word))
  const vms = [...state.vms.values()].filter(({ name }) => matches(name, nameWords)).slice(0, most)
  const actions = vms.flatMap((vm): PaletteItem[] =>
    nameWords.length === 0
      ? []
      : vmActions
          .filter(
            (action) => (actionWord === undefined || action === actionWord) && obstacleTo(action, vm, role) === null,
          )
          .map((action) => ({
            key: `${action} ${vm.name}`,
            title: `${action} ${vm.name}`,
            kind: 'action',
            run: { action, vm: vm.name },
          })),
  )
  const found: PaletteItem[] = [
    ...pages.filter(({ title }) => matches(title, words)).map(pageItem),
    ...(actionWord === undefined ? [] : actions),
    ...vms.map(
      ({ name }): PaletteItem => ({
        key: `vm ${name}`,
        title: name,
        kind: 'machine',
        run: { go: `/machines/${name}` },
      }),
    ),
    ...[...state.hosts.values()]
      .filter(({ name }) => matches(name, words))
      .map(
        ({ name }): PaletteItem => ({
          key: `host ${name}`,
          title: name,
          kind: 'host',
          run: { go: `/hosts?host=${name}` },
        }),
      ),
    ...(actionWord === undefined ? actions : []),
  ]
  return found.slice(0, most)
}

function pageItem({ path, title }: Page): PaletteItem {
  return { key: `page ${path}`, title, kind: 'page', run: { go: path } }
}
