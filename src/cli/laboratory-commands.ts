/** The verbs that the laboratory carries out itself: they are handed on with everything that follows them. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import { CommandFailure, exitCodes } from './command-failure.ts'

/** Verbs of `dialtone lab`, for the help and the completion; the laboratory itself is the judge of what it understands. */
export const laboratoryVerbs = {
  list: 'list the laboratories',
  'power-off': 'cut the power of a host',
  'power-on': 'switch a host on',
  reset: 'press the reset button of a host',
  cut: 'cut a host off from the network',
  heal: 'join it again',
  'cut-all': 'cut all hosts off from each other',
  'heal-all': 'join them again',
} as const

/** Runs the laboratory's program on this terminal and resolves with its exit code. */
export async function runLaboratory(args: readonly string[], laboratory: string | undefined): Promise<number> {
  const program = fileURLToPath(new URL('../laboratory/main.ts', import.meta.url))
  const environment = laboratory === undefined ? process.env : { ...process.env, DIALTONE_LAB: laboratory }
  const child = spawn(process.execPath, [program, ...args], { stdio: 'inherit', env: environment })
  // The terminal sends Ctrl-C to both; this process stays until the laboratory has tidied up. A SIGTERM comes to us alone.
  const wait = () => undefined
  const passOn = () => child.kill('SIGTERM')
  process.on('SIGINT', wait)
  process.on('SIGTERM', passOn)
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error) => reject(notStarted(error)))
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
    })
  } finally {
    process.off('SIGINT', wait)
    process.off('SIGTERM', passOn)
  }
}

function notStarted(error: Error): CommandFailure {
  return new CommandFailure('machine-setup', `The laboratory could not be started: ${error.message}.`, {
    exitCode: exitCodes.failed,
    next: 'Install Dialtone with its laboratory, then repeat.',
  })
}
