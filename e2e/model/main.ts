/** `npm run model`: checks docs/model, says what was checked, and shows the shortest history of each broken variant (`--quiet`: does not). */
import { styleText } from 'node:util'
import { modelChecks } from './model-checks.ts'
import { type CheckOutcome, runCheck } from './run-check.ts'

const isQuiet = process.argv.includes('--quiet')
const startedAtMs = performance.now()
let failures = 0
for (const check of modelChecks) {
  const outcome = await runCheck(check)
  if (!outcome.isAsExpected) failures += 1
  report(outcome)
}
const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(0)
console.log(`${modelChecks.length} checks in ${seconds} s, ${failures} not as they should be`)
process.exitCode = failures === 0 ? 0 : 1

function report({ check, isAsExpected, states, depth, memoryMiB, seconds: took, trail }: CheckOutcome): void {
  const { model, defines, expected, says } = check
  const mark = isAsExpected ? styleText('green', '✔') : styleText('red', '✖')
  const word = { holds: 'holds', 'is-reached': 'reached', 'is-broken': 'rejected' }[expected]
  const figures = `${states} states, depth ${depth}, ${memoryMiB} MiB, ${took.toFixed(1)} s`
  console.log(`${mark} ${model} ${(isAsExpected ? word : `not ${word}`).padEnd(9)} ${says}`)
  console.log(`    ${expected === 'holds' ? '' : `${defines.at(-1) ?? ''}: `}${figures}`)
  const isShown = expected === 'is-broken' ? !isQuiet : expected === 'holds'
  if (isShown) for (const line of trail) console.log(`      ${line}`)
}
