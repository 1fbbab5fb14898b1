/** Stands in for the watchdog process: arms with 300 ms and pets, until the file `stop-petting` appears; then it hangs up, and notes when it petted last. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'

const { dataDirectory, hardwareWatchdog } = z
  .object({ dataDirectory: z.string(), hardwareWatchdog: z.object({ socket: z.string() }) })
  .parse(JSON.parse(readFileSync(parseArgs({ options: { config: { type: 'string' } } }).values.config ?? '', 'utf8')))

const stopFile = join(dataDirectory, 'stop-petting')
const socket = connect(hardwareWatchdog.socket)
socket.on('error', () => process.exit(1))
socket.write('arm 300\n')
let lastPetAtMs = 0
const petting = setInterval(() => {
  if (!existsSync(stopFile)) {
    lastPetAtMs = Date.now()
    socket.write('pet\n')
    return
  }
  clearInterval(petting)
  writeFileSync(join(dataDirectory, 'last-pet'), String(lastPetAtMs))
  socket.end()
  // The process stays: its host dies of silence, not of an exit.
  setInterval(() => undefined, 1000)
}, 40)
