/**
 * The steps of a scenario, one a line:
 *
 *     given vm web: ha, on h1
 *     at 2s     host h1 loses power for 20s
 *     expect    vm web runs on h2 within 5s
 *     after 30s everything heals
 *
 * `at` counts from the beginning, `after` from the line before; without either a line follows at once. `#` begins a comment.
 */
import { DialtoneError } from '../../model/dialtone-error.ts'
import { controllerPlace } from '../controller/controller-process.ts'
import { expectationSentences } from './expectation.ts'
import { faultSentences } from './fault-sentences.ts'
import { requestSentences, vmWishes } from './request-sentences.ts'
import { nearestSentences, readSentence, readTime, type Sentence } from './sentence.ts'
import { readService } from './service-sentence.ts'
import type { Action, Step, When } from './step.ts'

/** What there is to speak of. */
export type Cast = { readonly hosts: readonly string[]; readonly storages: readonly string[] }

/** Throws `invalid-input` with the number of the first line that says nothing, or names what there is not. */
export function parseSteps(source: string, cast: Cast): readonly Step[] {
  const vms = new Set<string>()
  return source.split('\n').flatMap((written, index) => {
    const text = written.replace(/#.*/, '').trim().replaceAll(/\s+/g, ' ')
    if (text === '') return []
    try {
      const { when, rest } = readWhen(text)
      const action = readAction(rest)
      for (const made of madeVms(rest)) vms.add(made)
      checkNames(action, { ...cast, vms })
      return [{ line: index + 1, text: rest, when, action }]
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new DialtoneError('invalid-input', `line ${index + 1}: ${why}`, { cause: error })
    }
  })
}

function readWhen(text: string): { readonly when: When; readonly rest: string } {
  const [, kind, time = '', rest = ''] = /^(at|after) (\S+) (.+)$/.exec(text) ?? []
  if (kind !== 'at' && kind !== 'after') return { when: { kind: 'at-once' }, rest: text }
  const timeMs = readTime(time)
  if (timeMs === undefined) throw new DialtoneError('invalid-input', `"${time}" is no time, as 20s or 300ms are`)
  return { when: { kind, timeMs }, rest }
}

const plainSentences: readonly Sentence<Action>[] = [
  { words: 'everything heals', read: () => ({ kind: 'heal' }) },
  { words: 'host {host} gets power', read: ({ host = '' }) => ({ kind: 'power-on', host: String(host) }) },
  { words: 'wait {waitMs}', read: ({ waitMs }) => ({ kind: 'wait', timeMs: Number(waitMs) }) },
  {
    words: 'given vm {vm}[: {text}]',
    read: ({ vm = '', text = '' }) => ({
      kind: 'given',
      vms: [String(vm)],
      item: createItem(String(vm), String(text)),
    }),
  },
  {
    words: 'create vm {vm}[: {text}]',
    read: ({ vm = '', text = '' }) => ({ kind: 'request', item: createItem(String(vm), String(text)) }),
  },
  {
    words: 'given service {service}: {text}',
    read: ({ service, text }) => ({ kind: 'given', ...readService(String(service), String(text)) }),
  },
  {
    words: 'apply service {service}: {text}',
    read: ({ service, text }) => ({ kind: 'request', item: readService(String(service), String(text)).item }),
  },
  ...requestSentences.map(
    ({ words, read }): Sentence<Action> => ({
      words,
      read: (values) => ({ kind: 'request', item: read(values) }),
    }),
  ),
  ...faultSentences.map(
    ({ words, read }): Sentence<Action> => ({
      words,
      read: (values) => ({ kind: 'fault', fault: read(values) }),
    }),
  ),
  ...expectationSentences.map(
    ({ words, read }): Sentence<Action> => ({
      words: `expect ${words}`,
      read: (values) => ({ kind: 'expect', expectation: read(values) }),
    }),
  ),
]

/** Every sentence that a line can be, for those who write one. */
export const allWords: readonly string[] = plainSentences.map(({ words }) => words)

function readAction(text: string): Action {
  const action = readSentence(plainSentences, text)
  if (action !== undefined) return action
  throw new DialtoneError(
    'invalid-input',
    `"${text}" is none of the sentences; the nearest are: ${nearestSentences(plainSentences, text).join('; ')}`,
  )
}

function createItem(name: string, text: string): Extract<Action, { kind: 'request' }>['item'] {
  const wishes = text === '' ? [] : text.split(', ').map(readWish)
  return { call: 'createVm', body: Object.assign({ name, template: 'tiny' }, ...wishes) }
}

function readWish(text: string): object {
  const wish = readSentence(vmWishes, text)
  if (wish !== undefined) return wish
  const words = vmWishes.map((known) => known.words).join('; ')
  throw new DialtoneError('invalid-input', `"${text}" can't be said of a machine; what can: ${words}`)
}

function madeVms(text: string): readonly string[] {
  const [, service, wish] = /^(?:given|apply) service ([a-z0-9-]+): (.+)$/.exec(text) ?? []
  if (service !== undefined && wish !== undefined) return readService(service, wish).vms
  const vm = /^(?:given|create) vm ([a-z0-9-]+)/.exec(text)?.[1]
  return vm === undefined ? [] : [vm]
}

/** Whatever an action names by `host`, `vm`, `storage` and the like must be there. */
function checkNames(action: Action, cast: Cast & { readonly vms: ReadonlySet<string> }): void {
  const places = [...cast.hosts, controllerPlace]
  const known: Readonly<Record<string, readonly string[]>> = {
    host: cast.hosts,
    storage: cast.storages,
    vm: [...cast.vms],
    otherVm: [...cast.vms],
    from: places,
    to: places,
  }
  for (const [role, name] of namesIn(action)) {
    if (known[role]?.includes(name) === false)
      throw new DialtoneError('invalid-input', `there is no ${name} (${role}); there are: ${known[role].join(', ')}`)
  }
}

function namesIn(value: unknown): readonly (readonly [string, string])[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return []
  return Object.entries(value).flatMap(([key, inner]): readonly (readonly [string, string])[] =>
    typeof inner === 'string' ? [[key, inner]] : namesIn(inner),
  )
}
