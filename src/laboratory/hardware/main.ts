/** The hardware of one laboratory: `node main.ts --home DIR --name LAB`. No fault that is injected into hosts touches it. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { portFlagsPath } from '../fabric.ts'
import { hostFolder, laboratoryFolders, watchdogSocketOf } from '../laboratory-folders.ts'
import { type LaboratoryHost, readRecord } from '../laboratory-record.ts'
import { programEnvironment } from '../program-environment.ts'
import { bootHost, readBootId, tearDownHost } from './boot-host.ts'
import { serveControlSocket } from './control-socket.ts'
import { serveEmulatedWatchdog } from './emulated-watchdog.ts'
import { createHostMachine, type HostMachine } from './host-machine.ts'
import { openJournal } from './journal.ts'
import { createPowerStateWriter, type PowerState, readPowerState, switchedOff } from './power-state.ts'

const { values } = parseArgs({ options: { home: { type: 'string' }, name: { type: 'string' } } })
const { home = '', name = '' } = values
const found = await readRecord(home, name)
if (found === undefined) throw new DialtoneError('not-found', `there is no laboratory ${name} in ${home}`)
const record = found
const folders = laboratoryFolders(home, name)
const environment = programEnvironment(process.env, home)
const journal = openJournal(join(folders.hardware, 'log'))
const powerStatePath = join(folders.hardware, 'power.json')
const earlier = await readPowerState(powerStatePath)
const hosts = new Map<string, HostMachine>()
const saveState = createPowerStateWriter(powerStatePath, currentState)

journal({ event: 'hardware-started' })
for (const host of record.hosts) hosts.set(host.name, await assemble(host))
for (const machine of hosts.values()) await machine.resume()
await serveControlSocket(folders.controlSocket, hosts)

async function assemble(host: LaboratoryHost): Promise<HostMachine> {
  const tree = hostFolder(folders, host.name)
  const initially = earlier[host.name] ?? switchedOff
  const watchdog = await serveEmulatedWatchdog({
    socketPath: watchdogSocketOf(folders, host.name),
    onArmed: (timeoutMs) => {
      journal({ event: 'watchdog-armed', host: host.name, cause: `${timeoutMs} ms` })
      void saveState()
    },
    onExpired: ({ silentMs, timeoutMs }) => {
      const cause = `not petted for ${Math.round(silentMs)} ms, armed with ${timeoutMs} ms`
      journal({ event: 'watchdog-expired', host: host.name, cause })
      void hosts.get(host.name)?.reset(cause)
    },
  })
  return createHostMachine({
    host: host.name,
    cgroupDirectory: join(record.cgroupDirectory, host.name),
    portFlags: portFlagsPath(folders, host.name),
    postDelayMs: record.postDelayMs,
    initially,
    watchdog,
    journal,
    boot: () => bootHost({ home, record, host, environment }),
    tearDown: () => tearDownHost(record, host),
    readBootId: () => readBootId(tree),
    saveState,
  })
}

function currentState(): PowerState {
  // Until all hosts are assembled, what is known of the others still holds.
  return { ...earlier, ...Object.fromEntries([...hosts].map(([host, machine]) => [host, machine.state()])) }
}
