/** `dialtone __complete -- WORD…`: candidates for the last word, one a line. Never fails and never asks: no answer is no candidate. */
import type { Command, Option } from 'commander'
import type { VmView } from '../model/api/views.ts'
import { type VmAction, type VmState, vmActionSchema, vmActionTable } from '../model/vm.ts'
import { findServer, laboratoryNames } from './find-server.ts'
import { laboratoryVerbs } from './laboratory-commands.ts'
import { nouns, passedOn } from './nouns.ts'
import { makeProgram, optionValue, splitCommandLine } from './program.ts'
import { type Api, choiceOf, type GlobalOptions, openApi } from './session.ts'

const answerWithinMs = 1500
/** Only words that a shell takes as they are. */
const harmless = /^[\w./:=@,+-]+$/

type Place = { readonly command: Command; readonly positionals: readonly string[]; readonly options: GlobalOptions }

/** Prints the candidates for the last of the words. */
export async function complete(words: readonly string[]): Promise<void> {
  const given = words[0] === '--' ? words.slice(1) : words
  const candidates = await candidatesFor(given).catch(() => [])
  const printable = candidates.filter((candidate) => harmless.test(candidate))
  process.stdout.write(printable.map((candidate) => `${candidate}\n`).join(''))
}

async function candidatesFor(words: readonly string[]): Promise<readonly string[]> {
  const earlier = words.slice(0, -1)
  const current = words.at(-1) ?? ''
  const { noun, after } = splitCommandLine(earlier)
  if (noun === 'lab')
    return after.length === 0
      ? Object.keys(laboratoryVerbs)
      : namesOf({ argument: 'host' }, undefined, globalsOf(earlier))
  const program = await makeProgram(noun)
  const place = findPlace(program, earlier)
  const awaited = awaitedValue(place.command, earlier.at(-1))
  if (awaited !== undefined) return valuesOf(awaited, place.options)
  if (current.startsWith('-')) return optionsOf(place.command, program)
  if (place.command === program) return [...Object.keys(nouns), ...Object.keys(passedOn), 'help']
  if (place.command.commands.length > 0) return place.command.commands.map((command) => command.name())
  const { registeredArguments: wanted } = place.command
  const argument = (wanted[place.positionals.length] ?? wanted.findLast(({ variadic }) => variadic))?.name()
  if (argument === undefined) return []
  return namesOf({ argument, of: place.positionals[0] }, place.command.name(), place.options)
}

/** The command that the words have led to, and what was given to it. */
function findPlace(program: Command, words: readonly string[]): Place {
  let command = program
  const positionals: string[] = []
  for (const [index, word] of words.entries()) {
    if (word.startsWith('-') || awaitedValue(command, words[index - 1]) !== undefined) continue
    const next = command.commands.find((candidate) => candidate.name() === word)
    if (next === undefined) positionals.push(word)
    else command = next
  }
  return { command, positionals, options: globalsOf(words) }
}

/** The option whose value comes next, if `word` is one that takes a value. */
function awaitedValue(command: Command, word: string | undefined): Option | undefined {
  if (word === undefined || !word.startsWith('--')) return undefined
  const options = [...command.options, ...(command.parent?.options ?? []), ...(command.parent?.parent?.options ?? [])]
  return options.find((option) => option.long === word && (option.required || option.optional))
}

async function valuesOf(option: Option, globals: GlobalOptions): Promise<readonly string[]> {
  switch (option.long) {
    case '--lab':
      return laboratoryNames(process.env)
    case '--template':
    case '--storage':
    case '--host':
    case '--network':
    case '--into':
    case '--iso':
    case '--tag':
      return namesOf({ argument: option.long === '--into' ? 'network' : option.long.slice(2) }, undefined, globals)
    default:
      return []
  }
}

function optionsOf(command: Command, program: Command): string[] {
  return [...new Set([...command.options, ...program.options].flatMap((option) => option.long ?? [])), '--help']
}

/** What an argument stands for; `of`: what was named before it. */
type Wanted = { readonly argument: string; readonly of?: string | undefined }

/** Names of what an argument stands for. Of VMs only those whose state allows the verb. */
async function namesOf(wanted: Wanted, verb: string | undefined, globals: GlobalOptions): Promise<readonly string[]> {
  const api = openApi(await findServer(choiceOf(globals)), answerWithinMs)
  try {
    return await namesFrom(api, wanted, verb)
  } finally {
    await api.close()
  }
}

async function namesFrom(api: Api, { argument, of }: Wanted, verb: string | undefined): Promise<readonly string[]> {
  switch (argument) {
    case 'snapshot':
      if (of === undefined) return []
      return (await api.call('listSnapshots', { params: { vm: of } })).snapshots.map(({ name }) => name)
    case 'vm': {
      const { vms } = await api.call('listVms', {})
      const action = vmActionSchema.safeParse(verb)
      return vms.filter((vm) => !action.success || allows(action.data, vm)).map((vm) => vm.name)
    }
    case 'tag':
      return [...new Set((await api.call('listVms', {})).vms.flatMap(({ tags }) => tags))].toSorted()
    case 'service':
      return (await api.call('listServices', {})).services.map(({ name }) => name)
    case 'host':
      return (await api.call('listHosts', {})).hosts.map((host) => host.name)
    case 'storage':
      return (await api.call('listStorages', {})).storages.map((storage) => storage.name)
    case 'template':
    case 'recipe':
      return [
        ...new Set((await api.call('listTemplates', {})).templates.flatMap(({ name, version }) => [name, version])),
      ]
    case 'group':
      return (await api.call('listSecurityGroups', {})).groups.map((group) => group.name)
    case 'iso':
      return (await api.call('listIsos', {})).isos.map((iso) => iso.name)
    case 'network':
      return (await api.call('listNetworks', {})).networks.map((network) => network.name)
    case 'task':
      return (await api.call('listTasks', {})).tasks.map((task) => task.id)
    default:
      return []
  }
}

/** Allowed by the table that the server refuses by, and not without effect: a running machine need not be offered for a start. */
function allows(action: VmAction, vm: VmView): boolean {
  const { state } = vm.status
  return vmActionTable[action].includes(state) && !(withoutEffect[action] ?? []).includes(state)
}

const withoutEffect: Readonly<Partial<Record<VmAction, readonly VmState[]>>> = {
  start: ['running', 'starting', 'restarting'],
  stop: ['stopped', 'stopping'],
  kill: ['stopped'],
  pause: ['paused'],
  resume: ['running'],
  delete: ['deleting'],
}

function globalsOf(words: readonly string[]): GlobalOptions {
  const lab = optionValue(words, '--lab')
  const server = optionValue(words, '--server')
  return { ...(lab === undefined ? {} : { lab }), ...(server === undefined ? {} : { server }) }
}
