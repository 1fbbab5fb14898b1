/** The verbs of a laboratory and their options. */
import { fileURLToPath } from 'node:url'
import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import { DialtoneError } from '../model/dialtone-error.ts'
import { askHardware } from './ask-hardware.ts'
import { bringUp } from './bring-up.ts'
import { checkPrivileges } from './check-machine.ts'
import { maximumHosts } from './choose-subnet.ts'
import { describeLaboratory } from './describe-laboratory.ts'
import { formatLaboratories, formatLaboratory } from './format-laboratory.ts'
import type { HardwareRequest } from './hardware/control-message.ts'
import { lockLaboratory } from './hold-lock.ts'
import { homeOf, laboratoryFolders } from './laboratory-folders.ts'
import { defaultLaboratoryName, laboratoryNameSchema } from './laboratory-names.ts'
import {
  type LaboratoryRecord,
  type Programs,
  programsSchema,
  readAllRecords,
  readRecord,
  type TimingOverrides,
  timingOverridesSchema,
} from './laboratory-record.ts'
import { type ControllerAction, controllerActions, steerController } from './steer-controller.ts'
import { takeDown } from './take-down.ts'

type CommonOptions = { readonly name?: string; readonly json?: boolean }

type UpVerbOptions = CommonOptions & {
  readonly hosts: number
  readonly memoryPerHost?: number
  readonly postDelay: number
  readonly memoryImages: 'ram' | 'disk'
  readonly timings: TimingOverrides
  readonly fileLocks: boolean
  readonly powerFence: boolean
  readonly storageServer: boolean
  readonly programs: Programs
}

const hostVerbs = {
  'power-on': { action: 'on', summary: 'switch a host on; it boots after its self test' },
  'power-off': { action: 'off', summary: 'cut the power of a host; answers when all of it is dead' },
  reset: { action: 'reset', summary: 'press the reset button of a host' },
  cut: { action: 'cut', summary: 'pull the network cable of a host' },
  heal: { action: 'heal', summary: 'plug it in again' },
} as const satisfies Record<string, { action: HardwareRequest['action']; summary: string }>

/** A `down` waits that long for another command on the same laboratory to end. */
const downWaitMs = 15_000

/** The program; commander's errors are thrown, not exits. */
export function laboratoryProgram(): Command {
  const program = new Command('laboratory')
    .description(
      'A laboratory: several hosts of a cloud on this machine, each with its own network, power and watchdog.',
    )
    .exitOverride()
    .showHelpAfterError()
  addUp(program)
  verb(program, 'down', 'end a laboratory and delete everything it made').action(down)
  verb(program, 'status', 'switches, cables and processes of a laboratory').action(status)
  verb(program, 'list', 'the laboratories of this machine').action(list)
  for (const [name, { action, summary }] of Object.entries(hostVerbs)) {
    verb(program, name, summary)
      .argument('<host...>', 'names of hosts, such as h1')
      .action((hosts: readonly string[], options: CommonOptions) => ask(options, { action, hosts, cause: name }))
  }
  verb(program, 'cut-all', 'pull the network cables of all hosts').action((options: CommonOptions) =>
    ask(options, { action: 'cut', hosts: undefined, cause: 'cut-all' }),
  )
  verb(program, 'heal-all', 'plug all of them in again').action((options: CommonOptions) =>
    ask(options, { action: 'heal', hosts: undefined, cause: 'heal-all' }),
  )
  const actions = Object.entries(controllerActions).map(([action, meaning]) => `${action} (${meaning})`)
  verb(program, 'controller', `faults of the controller: ${actions.join('; ')}`)
    .addArgument(new Argument('<action>').choices(Object.keys(controllerActions)))
    .action(async (action: ControllerAction, options: CommonOptions) => {
      checkPrivileges()
      await steerController(home(), await requireRecord(options), action)
    })
  return program
}

function verb(program: Command, name: string, summary: string): Command {
  const command = program.command(name).description(summary).option('--json', 'answer as JSON')
  return name === 'list' ? command : command.option('--name <name>', 'the laboratory', nameOption)
}

function addUp(program: Command): void {
  verb(program, 'up', 'start a laboratory, or bring one up again after a reboot')
    .option('--hosts <count>', `1 to ${maximumHosts}`, wholeNumber(1, maximumHosts), 3)
    .option('--memory-per-host <mebibytes>', 'what VMs may use; default: an equal share', wholeNumber(64, 2 ** 24))
    .option('--post-delay <milliseconds>', 'how long a host’s power-on self test takes', wholeNumber(0, 600_000), 5000)
    .addOption(new Option('--timings <json>', 'times of the protection protocol').argParser(timingsOption).default({}))
    .option('--no-file-locks', 'QEMU’s own image locks off: hosts here share one kernel, whose locks hide mistakes')
    .addOption(
      new Option('--memory-images <where>', 'where hosts keep images of machines’ memory')
        .choices(['ram', 'disk'])
        .default('ram'),
    )
    .option('--power-fence', 'tell the controller about the power board', false)
    .option('--storage-server', 'hosts reach the shared storage over the network, on a server that can fail', false)
    .addOption(
      new Option('--programs <json>', 'other programs').argParser(programsOption).default(ownPrograms()).hideHelp(),
    )
    .action(up)
}

async function up(options: UpVerbOptions): Promise<void> {
  const name = options.name ?? nameFromEnvironment() ?? defaultLaboratoryName
  const startedAt = performance.now()
  const progress = options.json === true ? process.stderr : process.stdout
  const interruption = new AbortController()
  const interrupt = () => interruption.abort()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
  const wish = {
    home: home(),
    name,
    hosts: options.hosts,
    memoryPerHostMiB: options.memoryPerHost,
    postDelayMs: options.postDelay,
    timings: options.timings,
    fileLocking: options.fileLocks,
    memoryImages: options.memoryImages,
    powerFence: options.powerFence,
    storageServer: options.storageServer,
    programs: options.programs,
  }
  const report = (step: string) => {
    const elapsed = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)
    progress.write(`${elapsed} s  ${step}\n`)
  }
  const record = await bringUp(wish, { signal: interruption.signal, report })
  await printDescription(record, options)
}

async function down(options: CommonOptions): Promise<void> {
  checkPrivileges()
  const name = await chosenName(options)
  await using _lock = await lockLaboratory(name, { purpose: 'dialtone down', waitMs: downWaitMs })
  const hadAnything = await takeDown(home(), name)
  if (options.json === true) process.stdout.write(`${JSON.stringify({ name, removed: hadAnything })}\n`)
  else process.stdout.write(hadAnything ? `The laboratory ${name} is gone.\n` : `There is no laboratory ${name}.\n`)
}

async function status(options: CommonOptions): Promise<void> {
  await printDescription(await requireRecord(options), options)
}

async function list(options: CommonOptions): Promise<void> {
  const records = await readAllRecords(home())
  const descriptions = await Promise.all(records.map((record) => describeLaboratory(home(), record)))
  const text =
    options.json === true ? `${JSON.stringify({ laboratories: descriptions })}\n` : formatLaboratories(descriptions)
  process.stdout.write(text)
}

type Asking = {
  readonly action: HardwareRequest['action']
  /** Undefined for all. */
  readonly hosts: readonly string[] | undefined
  readonly cause: string
}

async function ask(options: CommonOptions, { action, hosts, cause }: Asking): Promise<void> {
  const record = await requireRecord(options)
  const { controlSocket } = laboratoryFolders(home(), record.name)
  const wanted = hosts ?? record.hosts.map((host) => host.name)
  const answers = await Promise.all(wanted.map((host) => askHardware(controlSocket, { action, host, cause })))
  const lines = answers.flat().map(({ host, power, phase, link }) => `${host}  ${power}  ${phase}  link ${link}\n`)
  process.stdout.write(options.json === true ? `${JSON.stringify({ hosts: answers.flat() })}\n` : lines.join(''))
}

async function printDescription(record: LaboratoryRecord, options: CommonOptions): Promise<void> {
  const description = await describeLaboratory(home(), record)
  process.stdout.write(options.json === true ? `${JSON.stringify(description)}\n` : formatLaboratory(description))
}

async function requireRecord(options: CommonOptions): Promise<LaboratoryRecord> {
  const name = await chosenName(options)
  const record = await readRecord(home(), name)
  if (record !== undefined) return record
  throw new DialtoneError('not-found', `there is no laboratory ${name} in ${home()}`)
}

/** `--name`, else DIALTONE_LAB, else the only laboratory, else `lab`. */
async function chosenName(options: CommonOptions): Promise<string> {
  const given = options.name ?? nameFromEnvironment()
  if (given !== undefined) return given
  const [only, ...others] = await readAllRecords(home())
  return only !== undefined && others.length === 0 ? only.name : defaultLaboratoryName
}

function nameFromEnvironment(): string | undefined {
  const name = process.env['DIALTONE_LAB']
  if (name === undefined || name === '') return undefined
  const parsed = laboratoryNameSchema.safeParse(name)
  if (parsed.success) return parsed.data
  throw new DialtoneError(
    'invalid-input',
    `DIALTONE_LAB=${name} is not the name of a laboratory: ${z.prettifyError(parsed.error)}`,
  )
}

function home(): string {
  return homeOf(process.env)
}

function ownPrograms(): Programs {
  const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url))
  return {
    controller: pathOf('../controller/main.ts'),
    agent: pathOf('../agent/main.ts'),
    watchdog: pathOf('../agent/watchdog/main.ts'),
  }
}

function nameOption(text: string): string {
  return parsedOption(laboratoryNameSchema, text, text)
}

function timingsOption(text: string): TimingOverrides {
  return parsedOption(timingOverridesSchema, jsonOf(text), text)
}

function programsOption(text: string): Programs {
  return parsedOption(programsSchema, jsonOf(text), text)
}

function wholeNumber(from: number, to: number): (text: string) => number {
  return (text) => {
    const number = Number(text)
    if (/^\d+$/.test(text) && number >= from && number <= to) return number
    throw new InvalidArgumentError(`It has to be a whole number from ${from} to ${to}.`)
  }
}

function parsedOption<T>(schema: z.ZodType<T>, value: unknown, text: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError(`'${text}' will not do: ${z.prettifyError(parsed.error)}`)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new InvalidArgumentError(`'${text}' is not JSON.`)
  }
}
