/** Entry of the watchdog process: `node main.ts --config agent.json`. Small, of high priority, and dependent on nobody. */
import { mkdir, rm } from 'node:fs/promises'
import { flushCompileCache } from 'node:module'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { eachLine } from '../../linux/each-line.ts'
import { createJsonLogger } from '../../linux/json-logger.ts'
import { systemClock } from '../../linux/system-clock.ts'
import { defaultTimings } from '../../model/timings.ts'
import { readAgentConfig } from '../agent-config.ts'
import { createHostGuard } from './guard-host.ts'
import { armHardwareWatchdog } from './hardware-watchdog.ts'
import { machinesInCgroups } from './host-machines.ts'
import { type WatchdogAnswer, watchdogStateSchema } from './watchdog-message.ts'

const { values } = parseArgs({ options: { config: { type: 'string' } } })
const config = await readAgentConfig(values.config ?? '')
const logger = createJsonLogger(process.stderr, { host: config.hostName, process: 'watchdog' })
const hardware = await armHardwareWatchdog(config.hardwareWatchdog, defaultTimings.watchdogMs)
const guard = createHostGuard({
  clock: systemClock,
  logger,
  hardware,
  machines: machinesInCgroups(join(config.cgroupDirectory, 'machines')),
  killAgent,
})

guard.look()
const tick = () => {
  guard.look()
  setTimeout(tick, guard.timings().watchdogPetMs)
}
tick()

await mkdir(dirname(config.watchdogSocket), { recursive: true })
await rm(config.watchdogSocket, { force: true })
createServer((socket) => {
  socket.on('error', () => socket.destroy())
  const answer = (sequence: number) =>
    socket.write(`${JSON.stringify({ sequence, armed: guard.armed() } satisfies WatchdogAnswer)}\n`)
  // An agent that has just started learns at once how the host is armed.
  answer(0)
  eachLine(socket, (line) => {
    const state = parseState(line)
    if (!state.success) return logger.error('watchdog.unintelligible', { reason: state.error.message })
    guard.update(state.data)
    guard.look()
    answer(state.data.sequence)
  })
}).listen(config.watchdogSocket)
flushCompileCache()
logger.info('watchdog.started', { armed: guard.armed() })

/** The last line of an agent that was killed may be torn: that must not end this process too. */
function parseState(line: string) {
  try {
    return watchdogStateSchema.safeParse(JSON.parse(line))
  } catch {
    return watchdogStateSchema.safeParse(undefined)
  }
}

function killAgent(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It is gone already, which is what was wanted.
  }
}
