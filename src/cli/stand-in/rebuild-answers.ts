/** What a controller that has lost its state answers. */
import type { rebuildRoutes } from '../../model/api/rebuild-routes.ts'
import type { RebuildView } from '../../model/rebuild/rebuild-plan.ts'
import type { Handlers } from '../../transport/mount-contract.ts'

const found: RebuildView = {
  items: [
    {
      ...{ noun: 'vm', id: 'vm-web00000', name: 'web', action: 'enter', from: 'shared/vol-web00000' },
      detail: 'runs on h1, and is left to run there',
      doubts: ['its user-data is in no manifest: give it anew with dialtone vm set, if it needs it again'],
    },
  ],
  doubts: [
    {
      subject: 'shared/vol-lost0000',
      message: 'is a disk that no manifest tells of',
      next: 'It is not touched.',
    },
  ],
  answered: ['h1'],
}

export function rebuildAnswers(): Handlers<typeof rebuildRoutes> {
  return {
    planRebuild: () => found,
    rebuild: () => ({ ...found, entered: ['vm web'], refused: ['vm old'] }),
  }
}
