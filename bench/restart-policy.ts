/** The decision which cell of a large service to restart, in processor time of this process: nothing is run or restarted. */
import { type ComponentCondition, decideRestart } from '../src/control/services/decide-restart.ts'
import { serviceFileSchema } from '../src/model/service/service-file.ts'
import { benchOfCases } from './bench.ts'
import type { Figure } from './figure.ts'

const cases = { 'one-fails': { failing: 1 }, 'all-of-a-cell-fail': { failing: 10 }, 'half-fail': { failing: 500 } }
const components = 1_000
const inACell = 10

export const restartPolicy = benchOfCases({ name: 'restart-policy', cases, defaultRuns: 21 }, measure)

async function measure(
  name: string,
  { failing }: { readonly failing: number },
  { runs }: { readonly runs: number },
): Promise<readonly Figure[]> {
  const file = largeService()
  const conditions = new Map(
    Object.keys(file.components).map((component, index): [string, ComponentCondition] => {
      const fails = index < failing
      return [component, { isServing: !fails, failingForMs: fails ? 9_000 : 0, ownRecoveries: 1, obstacle: null }]
    }),
  )
  const question = { file, conditions, lessons: {}, restarts: [], oracle: { kind: 'learned' } as const, nowMs: 0 }
  const samples = Array.from({ length: runs + 5 }, () => {
    const fromMs = performance.now()
    const { kind } = decideRestart(question)
    if (kind !== 'restart') throw new Error(`it was decided otherwise: ${kind}`)
    return performance.now() - fromMs
  }).slice(5)
  const conditionsSentence = `${components} components in cells of ${inACell} and ${inACell * 10}, each but the first of a cell needs one`
  return [
    { bench: 'restart-policy', case: name, figure: 'decide', unit: 'ms', samples, conditions: conditionsSentence },
  ]
}

/** Cells of ten within cells of a hundred; in each of ten, everybody needs the first. */
function largeService() {
  const names = Array.from({ length: components }, (_, index) => `c${index}`)
  const cells = Array.from({ length: components / inACell }, (_, cell) =>
    names.slice(cell * inACell, (cell + 1) * inACell),
  )
  const groups = Array.from({ length: cells.length / inACell }, (_, outer) => ({
    name: `outer${outer}`,
    groups: cells
      .slice(outer * inACell, (outer + 1) * inACell)
      .map((own, inner) => ({ name: `inner${outer}-${inner}`, components: own })),
  }))
  const all = cells.flatMap(([first = '', ...others]) => [
    [first, { template: 'tiny' }] as const,
    ...others.map((name) => [name, { template: 'tiny', needs: [first] }] as const),
  ])
  return serviceFileSchema.parse({ service: 'large', recovery: 'warm', components: Object.fromEntries(all), groups })
}
