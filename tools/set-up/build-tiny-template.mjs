/** The template that the demonstration and the end-to-end tests make machines from. */
import { join } from 'node:path'
import { nodeProgram } from './install-npm-packages.mjs'
import { runProgram } from './run-program.mjs'
import { takeStep } from './take-step.mjs'

const buildTimeoutMs = 1_200_000

/**
 * Builds it if it is not there as the recipe is now. Throws SetUpError with the builder's words.
 *
 * @param {{ readonly root: string, readonly home: string, readonly env: NodeJS.ProcessEnv }} options
 */
export async function buildTinyTemplate({ root, home, env }) {
  const builder = [join(root, 'recipes/build-template.ts'), 'tiny', '--into', join(home, 'templates')]
  await takeStep('template', 'looking for the template tiny', async (report) => {
    const output = await runProgram([nodeProgram(root), ...builder], {
      cwd: root,
      env,
      timeoutMs: buildTimeoutMs,
      onLine: (line) => report(`template tiny: ${line.replaceAll(/\s+/g, ' ')}`),
    })
    return /^done\s+already built/m.test(output) ? 'tiny is built' : 'built tiny'
  })
}
