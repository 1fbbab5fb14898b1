/** Stands in for an agent: writes down what its host sees, keeps one machine's process, and calls the controller. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { inCgroup } from '../../src/linux/run-command.ts'

const configuration = z
  .object({
    hostName: z.string(),
    dataDirectory: z.string(),
    controllerUrl: z.string(),
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
  namespacesInSight: existsSync('/run/netns') ? readdirSync('/run/netns').length : 0,
}
writeFileSync(join(dataDirectory, 'sight.json'), JSON.stringify(sight))

const url = configuration.controllerUrl.replace('https:', 'http:')
setInterval(() => {
  fetch(`${url}/${hostName}`, { signal: AbortSignal.timeout(300) }).catch(() => undefined)
}, 100)
