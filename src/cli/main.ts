/** `dialtone`, the operator's command line. */
import { runCli } from './run-cli.ts'

// A reader that has seen enough (`dialtone event list | head`) is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(0)
  })
}

await runCli(process.argv.slice(2))
