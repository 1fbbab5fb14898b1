/** `npm run dev`: builds the console if it is not there as the sources are, then runs a simulated cloud that serves it. Options go to the cloud. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const built = spawnSync(process.execPath, [join(root, 'tools/build-web.ts')], { stdio: 'inherit' })
if (built.status !== 0) process.exit(built.status ?? 1)
process.argv.splice(1, 1, join(root, 'src/sim/live/main.ts'))
await import('../src/sim/live/main.ts')
