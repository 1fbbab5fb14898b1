/** Which controller a command talks to, and with which token. */
import { readdir, readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { CommandFailure, exitCodes } from './command-failure.ts'

export type Server = {
  readonly baseUrl: string
  readonly token: string | undefined
  /** PEM of the only authority that is trusted; for https. */
  readonly ca: string | undefined
  readonly isLaboratory: boolean
  /** For messages: `laboratory lab` or `server` and its address. */
  readonly label: string
}

export type ServerChoice = {
  readonly server: string | undefined
  readonly laboratory: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
}

const defaultHome = '/var/lib/dialtone'
const defaultLaboratory = 'lab'
const probeTimeoutMs = 300

/**
 * `--server`, else `--lab`, else DIALTONE_SERVER, else DIALTONE_LAB, else the only laboratory that runs here, else the one named `lab`.
 * A laboratory's own token is used for it; DIALTONE_TOKEN for every other server, and where the laboratory's cannot be read.
 */
export async function findServer({ server, laboratory, environment }: ServerChoice): Promise<Server> {
  const address = server ?? (laboratory === undefined ? given(environment['DIALTONE_SERVER']) : undefined)
  const token = given(environment['DIALTONE_TOKEN'])
  if (address !== undefined) {
    const baseUrl = checkedUrl(address)
    const ca = baseUrl.startsWith('https:') ? await readAuthority(given(environment['DIALTONE_CA'])) : undefined
    return { baseUrl, token, ca, isLaboratory: false, label: `server ${address}` }
  }
  const folder = laboratoriesFolder(environment)
  const named = laboratory ?? given(environment['DIALTONE_LAB'])
  const name = named ?? (await onlyRunning(folder)) ?? defaultLaboratory
  return openLaboratory(folder, name, token)
}

/** Names of the laboratories that have been set up here. */
export async function laboratoryNames(environment: ServerChoice['environment']): Promise<string[]> {
  return namesIn(laboratoriesFolder(environment))
}

async function openLaboratory(folder: string, name: string, givenToken: string | undefined): Promise<Server> {
  if (!/^[\w-]+$/.test(name)) {
    throw new CommandFailure('invalid-input', `'${name}' is not the name of a laboratory.`, {
      exitCode: exitCodes.usage,
      next: 'Names are made of letters, digits and hyphens.',
    })
  }
  const baseUrl = await apiUrlOf(folder, name)
  if (baseUrl === null) throw await nothingRuns(folder, name)
  const token = await readToken(join(folder, name, 'controller', 'admin-token'), givenToken)
  return { baseUrl, token, ca: undefined, isLaboratory: true, label: `laboratory ${name}` }
}

function checkedUrl(address: string): string {
  if (/^https?:\/\//.test(address) && URL.canParse(address)) return address
  throw new CommandFailure('invalid-input', `'${address}' is not the address of a server.`, {
    exitCode: exitCodes.usage,
    next: 'Write it with its scheme and port, such as http://127.0.0.1:7400.',
  })
}

/** A cluster has an authority of its own; those of the system are not trusted. */
async function readAuthority(path: string | undefined): Promise<string> {
  const next = 'Set DIALTONE_CA to the file with the certificate of the cluster’s authority.'
  const options = { exitCode: exitCodes.usage, next }
  if (path === undefined) throw new CommandFailure('invalid-input', 'An https server needs its authority.', options)
  return readFile(path, 'utf8').catch((error: Error) => {
    throw new CommandFailure('invalid-input', `The authority cannot be read: ${error.message}.`, options)
  })
}

async function onlyRunning(folder: string): Promise<string | undefined> {
  const names = await namesIn(folder)
  if (names.length < 2) return names[0]
  const answers = await Promise.all(names.map(async (name) => ((await isListening(folder, name)) ? [name] : [])))
  const running = answers.flat()
  return running.length === 1 ? running[0] : undefined
}

/** Laboratories have a record; a folder without one is what is left of an old one. */
async function namesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  const apiUrls = await Promise.all(names.map((name) => apiUrlOf(folder, name)))
  return names.filter((_name, index) => apiUrls[index] !== null)
}

async function isListening(folder: string, name: string): Promise<boolean> {
  const apiUrl = await apiUrlOf(folder, name)
  if (apiUrl === null) return false
  const { hostname, port, protocol } = new URL(apiUrl)
  const socket = connect({ host: hostname, port: Number(port) || (protocol === 'https:' ? 443 : 80) })
  try {
    return await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
      socket.setTimeout(probeTimeoutMs, () => resolve(false))
    })
  } finally {
    socket.destroy()
  }
}

async function apiUrlOf(folder: string, name: string): Promise<string | null> {
  const text = await readFile(join(folder, name, 'lab.json'), 'utf8').catch(() => null)
  if (text === null) return null
  const laboratory: unknown = parsed(text)
  if (typeof laboratory !== 'object' || laboratory === null || !('apiUrl' in laboratory)) return null
  const { apiUrl } = laboratory
  return typeof apiUrl === 'string' && URL.canParse(apiUrl) ? apiUrl : null
}

async function readToken(path: string, givenToken: string | undefined): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    const isForbidden = error instanceof Error && 'code' in error && error.code === 'EACCES'
    if (givenToken !== undefined || !isForbidden) return givenToken
    throw new CommandFailure('forbidden', 'You may not read the access token of this laboratory.', {
      exitCode: exitCodes.failed,
      next: 'Run the command as the user who started the laboratory, or set DIALTONE_TOKEN.',
    })
  }
}

async function nothingRuns(folder: string, name: string): Promise<CommandFailure> {
  const others = (await namesIn(folder)).filter((other) => other !== name)
  if (others.length === 0) {
    return new CommandFailure('host-unreachable', 'No laboratory runs here: start one with dialtone up.', {
      exitCode: exitCodes.unreachable,
      next: 'For another server, give --server URL and set DIALTONE_TOKEN.',
    })
  }
  return new CommandFailure('host-unreachable', `No laboratory named ${name} runs here.`, {
    exitCode: exitCodes.unreachable,
    next: `Choose another with --lab (${others.join(', ')}), or start this one: dialtone up --name ${name}.`,
  })
}

/** A variable that is set to nothing is not set. */
function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}

function laboratoriesFolder(environment: ServerChoice['environment']): string {
  return join(given(environment['DIALTONE_HOME']) ?? defaultHome, 'labs')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
