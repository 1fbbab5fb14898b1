/** What users ask for, in words. */
import type { WorkloadItem } from '../world/world.ts'
import type { Sentence, Values } from './sentence.ts'

type Wish = Readonly<Record<string, unknown>>

const vmParams = ({ vm = '' }: Values) => ({ params: { vm: String(vm) } })
const hostParams = ({ host = '' }: Values) => ({ params: { host: String(host) } })

export const requestSentences: readonly Sentence<WorkloadItem>[] = [
  { words: 'start vm {vm}', read: (values) => ({ call: 'startVm', ...vmParams(values), body: {} }) },
  {
    words: 'stop vm {vm}[, giving it {timeoutMs}]',
    read: ({ timeoutMs = 60_000, ...values }) => ({
      call: 'stopVm',
      ...vmParams(values),
      body: { timeoutSeconds: Number(timeoutMs) / 1_000 },
    }),
  },
  { words: 'kill vm {vm}', read: (values) => ({ call: 'killVm', ...vmParams(values) }) },
  { words: 'pause vm {vm}', read: (values) => ({ call: 'pauseVm', ...vmParams(values) }) },
  { words: 'resume vm {vm}', read: (values) => ({ call: 'resumeVm', ...vmParams(values) }) },
  { words: 'delete vm {vm}', read: (values) => ({ call: 'deleteVm', ...vmParams(values), query: {} }) },
  {
    words: 'delete vm {vm} though it runs',
    read: (values) => ({ call: 'deleteVm', ...vmParams(values), query: { force: 'true' } }),
  },
  {
    words: 'move vm {vm}[ to {host}]',
    read: ({ host, ...values }) => ({ call: 'migrateVm', ...vmParams(values), body: { host } }),
  },
  { words: 'maintenance of {host} begins', read: (values) => maintenance(values, {}) },
  {
    words: 'maintenance of {host} begins, stopping what cannot move',
    read: (values) => maintenance(values, { stop: true }),
  },
  { words: 'maintenance of {host} ends', read: (values) => ({ call: 'endMaintenance', ...hostParams(values) }) },
  {
    words: 'somebody confirms that {host} is dead',
    read: (values) => ({ call: 'confirmHostDead', ...hostParams(values), body: { confirm: values['host'] } }),
  },
]

function maintenance(values: Values, body: Wish): WorkloadItem {
  return { call: 'beginMaintenance', ...hostParams(values), body }
}

/** What may be said of a machine that is made: `vm web: ha, on h1, 512 MiB`. */
export const vmWishes: readonly Sentence<Wish>[] = [
  { words: 'ha', read: () => ({ ha: true }) },
  { words: 'on {host}', read: ({ host }) => ({ host }) },
  { words: 'on storage {storage}', read: ({ storage }) => ({ storage }) },
  { words: '{number} MiB', read: ({ number }) => ({ memoryMiB: number }) },
  { words: 'starts as number {number}', read: ({ number }) => ({ startOrder: number }) },
  { words: 'not started by itself', read: () => ({ autostart: false }) },
  { words: 'not probed', read: () => ({ probe: null }) },
  { words: 'with a data disk', read: () => ({ disks: [{ sizeMiB: 64, format: 'raw' }] }) },
  { words: 'recovers warm', read: () => ({ recovery: { mode: 'warm' } }) },
  {
    words: 'recovers from checkpoints every {everyMs}',
    read: ({ everyMs }) => ({ recovery: { mode: 'checkpoint', everySeconds: Number(everyMs) / 1_000 } }),
  },
  {
    words: 'apart from others in group {group}',
    read: ({ group }) => ({
      placementRules: {
        labels: { group },
        rules: [{ kind: 'apart-from-machines', label: { key: 'group', value: group }, strength: 'required' }],
      },
    }),
  },
]
