/** Stands in for an agent: writes down what its host sees, keeps one machine's process, and calls the controller. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { inCgroup } from '../../src/linux/run-command.ts'

const configuration = z
  .object({
    hostName: z.string(),
    dataDirectory: z.string(),
    controllerUrl: z.string(),
    listen: z.object({ host: z.string(), port: z.number() }),
    cgroupDirectory: z.string(),
    bootIdFile: z.string(),
  })
  .parse(JSON.parse(readFileSync(parseArgs({ options: { config: { type: 'string' } } }).values.config ?? '', 'utf8')))

const { dataDirectory, hostName } = configuration
const laboratory = join(dataDirectory, '..', '..')
const machine = join(configuration.cgroupDirectory, 'machines', 'vm-standin1')
if (!existsSync(machine)) {
  mkdirSync(machine, { recursive: true })
  const [program = '', ...args] = inCgroup(machine, 'sleep', ['600'])
  spawn(program, args, { stdio: 'ignore', detached: true }).unref()
}

const sight = {
  laboratories: readdirSync(join(laboratory, '..')),
  laboratory: readdirSync(laboratory),
  hosts: readdirSync(join(laboratory, 'hosts')),
  interfaces: readdirSync('/sys/class/net'),
  bootId: readFileSync(configuration.bootIdFile, 'utf8').trim(),
  seesCgroup: existsSync(join(configuration.cgroupDirectory, 'cgroup.procs')),
}
writeFileSync(join(dataDirectory, 'sight.json'), JSON.stringify(sight))

createServer((_request, response) => response.end(hostName)).listen(
  configuration.listen.port,
  configuration.listen.host,
)

const url = configuration.controllerUrl.replace('https:', 'http:')
setInterval(() => {
  fetch(`${url}/${hostName}`, { signal: AbortSignal.timeout(300) }).catch(() => undefined)
}, 100)
