/** What a scenario may expect, in words and as data. `runs` is the truth of the hosts; `is` is what the operator is shown. */
import { z } from 'zod'
import { hostStateSchema } from '../../model/host.ts'
import { serviceHealthSchema } from '../../model/service/service.ts'
import { vmStateSchema } from '../../model/vm.ts'
import type { Sentence } from './sentence.ts'

const vm = z.string()
const host = z.string()
const times = {
  /** It has to come true in this time; at once when it isn't said. */
  withinMs: z.number().optional(),
  /** From then on it has to be so all this time. */
  forMs: z.number().optional(),
}
const number = z.number()

export const expectationSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('vm-runs'), vm, host: host.optional(), ...times }),
  z.strictObject({ kind: z.literal('vm-runs-nowhere'), vm, ...times }),
  z.strictObject({ kind: z.literal('vm-is'), vm, state: vmStateSchema, host: host.optional(), ...times }),
  z.strictObject({ kind: z.literal('vm-is-gone'), vm, ...times }),
  z.strictObject({ kind: z.literal('host-is'), host, state: hostStateSchema, ...times }),
  z.strictObject({ kind: z.literal('host-is-empty'), host, ...times }),
  z.strictObject({ kind: z.literal('all-run'), ...times }),
  z.strictObject({ kind: z.literal('undisturbed'), vm, ...times }),
  z.strictObject({ kind: z.literal('all-undisturbed'), ...times }),
  z.strictObject({ kind: z.literal('starts'), vm, number, ...times }),
  z.strictObject({ kind: z.literal('most-starts-at-once'), number, ...times }),
  z.strictObject({ kind: z.literal('ran-before'), vm, otherVm: z.string(), ...times }),
  z.strictObject({ kind: z.literal('service-is'), service: z.string(), health: serviceHealthSchema, ...times }),
  z.strictObject({ kind: z.literal('cells-restarted'), service: z.string(), number, ...times }),
  z.strictObject({ kind: z.literal('nobody-fenced'), ...times }),
  z.strictObject({ kind: z.literal('refused'), text: z.string(), ...times }),
])
export type Expectation = z.infer<typeof expectationSchema>

type Row = readonly [words: string, kind: Expectation['kind'], says?: { readonly number: number }]

const rows: readonly Row[] = [
  ['vm {vm} runs nowhere[ within {withinMs}][ for {forMs}]', 'vm-runs-nowhere'],
  ['vm {vm} runs[ on {host}][ within {withinMs}][ for {forMs}]', 'vm-runs'],
  ['vm {vm} is gone[ within {withinMs}]', 'vm-is-gone'],
  ['vm {vm} is {state}[ on {host}][ within {withinMs}][ for {forMs}]', 'vm-is'],
  ['host {host} is empty[ within {withinMs}]', 'host-is-empty'],
  ['host {host} is {state}[ within {withinMs}][ for {forMs}]', 'host-is'],
  ['all vms run[ within {withinMs}][ for {forMs}]', 'all-run'],
  ['vm {vm} was never disturbed', 'undisturbed'],
  ['no vm was ever disturbed', 'all-undisturbed'],
  ['vm {vm} was started {number} times[ within {withinMs}]', 'starts'],
  ['vm {vm} was started once[ within {withinMs}]', 'starts', { number: 1 }],
  ['vm {vm} was not started again', 'starts', { number: 0 }],
  ['at most {number} vms started in any second', 'most-starts-at-once'],
  ['vm {vm} ran before vm {otherVm}', 'ran-before'],
  ['service {service} is {health}[ within {withinMs}][ for {forMs}]', 'service-is'],
  ['{number} cells of {service} were restarted[ within {withinMs}]', 'cells-restarted'],
  ['one cell of {service} was restarted[ within {withinMs}]', 'cells-restarted', { number: 1 }],
  ['no cell of {service} was restarted', 'cells-restarted', { number: 0 }],
  ['no host was fenced', 'nobody-fenced'],
  ['refusal: {text}', 'refused'],
]

export const expectationSentences: readonly Sentence<Expectation>[] = rows.map(([words, kind, says]) => ({
  words,
  read: (values) => expectationSchema.parse({ kind, ...says, ...values }),
}))
