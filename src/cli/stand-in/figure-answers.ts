/** What the stand-in says of figures. */
import { Readable } from 'node:stream'
import type { figureRoutes } from '../../model/api/figure-routes.ts'
import { noFigures } from '../../model/figures.ts'
import type { Handlers } from '../../transport/mount-contract.ts'

const atMs = Date.parse('2026-03-01T12:00:00.000Z')
const busy = { ...noFigures, cpuPercent: 149.6, memoryMiB: 96, networkInKiBPerSecond: 2048, pauseMs: 3 }
const history = {
  span: 'hour',
  stepMs: 5_000,
  timesMs: [],
  values: {
    cpuPercent: [],
    memoryMiB: [],
    diskReadKiBPerSecond: [],
    diskWriteKiBPerSecond: [],
    networkInKiBPerSecond: [],
    networkOutKiBPerSecond: [],
    pauseMs: [],
  },
} as const

export function makeFigureHandlers(): Handlers<typeof figureRoutes> {
  return {
    listFigures: () => ({
      hosts: [{ id: 'host-aaaaaaaa', name: 'h1', atMs, figures: busy }],
      vms: [
        { id: 'vm-aaaaaaaa', name: 'web', atMs, figures: noFigures },
        { id: 'vm-bbbbbbbb', name: 'database', atMs, figures: busy },
      ],
    }),
    clusterFigures: () => history,
    hostFigures: () => history,
    vmFigures: () => history,
    async *watchFigures() {
      yield { id: atMs, data: { id: 'cluster', atMs, figures: busy } }
    },
    metricTargets: () => [],
    metrics: () => ({ stream: Readable.from(['']) }),
  }
}
