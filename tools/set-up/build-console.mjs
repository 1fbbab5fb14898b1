/** The console that a controller serves and the browser test looks at. */
import { join } from 'node:path'
import { nodeProgram } from './install-npm-packages.mjs'
import { runProgram } from './run-program.mjs'
import { takeStep } from './take-step.mjs'

const buildTimeoutMs = 300_000

/**
 * Builds it if it is not there as the sources are now. Throws SetUpError with the builder's words.
 *
 * @param {{ readonly root: string, readonly env: NodeJS.ProcessEnv }} options
 */
export async function buildConsole({ root, env }) {
  await takeStep('console', 'looking for the console', async (report) => {
    const output = await runProgram([nodeProgram(root), join(root, 'tools/build-web.ts')], {
      cwd: root,
      env,
      timeoutMs: buildTimeoutMs,
      onLine: (line) => report(`console: ${line}`),
    })
    return output.includes('already built') ? 'the console is built' : 'built the console'
  })
}
