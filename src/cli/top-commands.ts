/** `dialtone vm top` and `dialtone host top`: who takes most at the moment. */
import type { Command } from 'commander'
import type { FigureView } from '../model/api/figure-routes.ts'
import { formatSize } from '../model/byte-size.ts'
import { type Listing, writeJson, writeListing } from './screen.ts'
import { withSession } from './session.ts'

export function addVmTopCommand(vm: Command): void {
  addTopCommand(vm, { noun: 'vms', description: 'list what each running VM takes at the moment, the busiest first' })
}

export function addHostTopCommand(host: Command): void {
  addTopCommand(host, { noun: 'hosts', description: 'list what each host takes at the moment, the busiest first' })
}

type Top = { readonly noun: 'vms' | 'hosts'; readonly description: string }

function addTopCommand(parent: Command, { noun, description }: Top): void {
  parent
    .command('top')
    .description(description)
    .action((_options: object, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const answer = await api.call('listFigures', {})
        const busiestFirst = answer[noun].toSorted((left, right) => right.figures.cpuPercent - left.figures.cpuPercent)
        if (screen.json) return writeJson(screen, { [noun]: busiestFirst })
        writeListing(screen, busiestFirst, listing)
      }),
    )
}

const perSecond = (kibibytes: number) => `${formatKibibytes(kibibytes)}/s`

const listing: Listing<FigureView> = {
  none: 'Nothing was measured lately: hosts tell every five seconds what they and their machines take.',
  columns: [
    ['NAME', ({ name }) => name],
    ['CPU', ({ figures }) => `${Math.round(figures.cpuPercent)} %`],
    ['MEMORY', ({ figures }) => formatSize(Math.round(figures.memoryMiB))],
    ['DISK READ', ({ figures }) => perSecond(figures.diskReadKiBPerSecond)],
    ['WRITTEN', ({ figures }) => perSecond(figures.diskWriteKiBPerSecond)],
    ['NETWORK IN', ({ figures }) => perSecond(figures.networkInKiBPerSecond)],
    ['OUT', ({ figures }) => perSecond(figures.networkOutKiBPerSecond)],
    ['PAUSE', ({ figures }) => `${Math.round(figures.pauseMs)} ms`],
  ],
}

function formatKibibytes(kibibytes: number): string {
  return kibibytes < 1024 ? `${Math.round(kibibytes)} KiB` : `${(kibibytes / 1024).toFixed(1)} MiB`
}
