import { Duplex } from 'node:stream'
import type { ApiContract } from '../../model/api/contract.ts'
import type { imageRoutes } from '../../model/api/image-routes.ts'
import type { IsoView } from '../../model/api/views.ts'
import { isoIdSchema } from '../../model/ids.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { makeTaskView, makeVmView } from './views.ts'

const disc: IsoView = {
  id: isoIdSchema.parse('iso-aaaaaaaa'),
  name: 'installer',
  bytes: 2 ** 21,
  sha256: 'a'.repeat(64),
  importedAt: '2026-03-01T11:00:00.000Z',
  directory: '/srv/isos/iso-aaaaaaaa',
  vmNames: ['web'],
}

/** Takes every upload of the announced size. */
export function makeImageHandlers(situation: {
  readonly changes: string[]
}): Pick<Handlers<ApiContract>, keyof typeof imageRoutes> {
  return {
    upload: ({ query }) =>
      Duplex.from(async function* receive(source: AsyncIterable<Uint8Array>) {
        let bytes = 0
        for await (const chunk of source) {
          bytes += chunk.length
          if (bytes >= query.bytes) break
        }
        situation.changes.push(`upload of ${bytes} bytes`)
        yield 'ok\n'
      }),
    importTemplate: ({ body }) => {
      situation.changes.push(`import of the template ${body.name} by ${body.source.kind}`)
      return { task: makeTaskView({ kind: 'template.import', subject: `${body.name}-${body.version}` }) }
    },
    listIsos: () => ({ isos: [disc] }),
    importIso: ({ body }) => {
      situation.changes.push(`import of the disc ${body.name} by ${body.source.kind}`)
      return { task: makeTaskView({ kind: 'iso.import', subject: body.name }) }
    },
    deleteIso: ({ params }) => {
      situation.changes.push(`delete disc ${params.iso}`)
      return {}
    },
    changeDrive: ({ params, body }) => {
      situation.changes.push(`drive ${params.drive} of ${params.vm}: ${body.iso ?? 'nothing'}`)
      return makeVmView()
    },
  }
}
