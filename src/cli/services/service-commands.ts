/** `dialtone service …` */
import { type Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { formatAge, formatInstant } from '../../model/age.ts'
import type { ServiceView } from '../../model/api/service-routes.ts'
import type { ServiceHealth } from '../../model/service/service.ts'
import { type RestartGroup, serviceFileSchema } from '../../model/service/service-file.ts'
import { confirmByName } from '../confirm.ts'
import { followTask, writeBegun } from '../follow-task.ts'
import { type Listing, writeDetails, writeJson, writeListing } from '../screen.ts'
import { type Session, withSession } from '../session.ts'
import type { Cell, TextStyle } from '../text-table.ts'
import { writeApplied } from './apply-command.ts'

type DeleteOptions = { readonly yes?: boolean; readonly detach?: boolean }
type Replicas = Readonly<Record<string, number>>

const styles: Readonly<Record<ServiceHealth, TextStyle>> = { up: 'green', degraded: 'yellow', down: 'red' }

/** Adds the verbs of services to the command `service`. */
export function addServiceCommands(service: Command): void {
  service
    .command('list')
    .description('list all services and how they are')
    .action((_options: object, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const answer = await api.call('listServices', {})
        if (screen.json) return writeJson(screen, answer)
        writeListing(screen, answer.services, listing(screen.nowMs()))
      }),
    )
  service
    .command('show')
    .description('show a service: its promises, restart tree, and what was restarted')
    .argument('<service>')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, (session) => show(session, name)),
    )
  service
    .command('status')
    .description('show how its components and their machines are')
    .argument('<service>')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const view = await api.call('getService', { params: { service: name } })
        if (screen.json) return writeJson(screen, view)
        writeDetails(screen, [['State', healthCell(view.health)]])
        writeListing(screen, machinesOf(view), machineListing)
      }),
    )
  service
    .command('scale')
    .description('give components another number of replicas; those above it are deleted with their disks')
    .argument('<service>')
    .argument('<component=number...>', 'for example web=3', replicasArgument)
    .option('--detach', 'return at once and let the task go on')
    .action((name: string, replicas: Replicas, ...[options, command]: [DeleteOptions, Command]) =>
      withSession(command, async (session) => {
        const answer = await session.api.call('scaleService', { params: { service: name }, body: { replicas } })
        await writeApplied(session, answer, { isDryRun: false, isDetached: options.detach === true })
      }),
    )
  service
    .command('delete')
    .description('delete a service with all its machines and their disks')
    .argument('<service>')
    .option('--yes', 'do not ask')
    .option('--detach', 'return at once and let the task go on')
    .action((name: string, options: DeleteOptions, command: Command) =>
      withSession(command, (session) => deleteService(session, name, options)),
    )
  service
    .command('schema')
    .description('print the JSON schema of service files')
    .action((_options: object, command: Command) => {
      void command
      process.stdout.write(`${JSON.stringify(z.toJSONSchema(serviceFileSchema, { io: 'input' }), null, 2)}\n`)
    })
}

async function show({ api, screen }: Session, name: string): Promise<void> {
  const view = await api.call('getService', { params: { service: name } })
  if (screen.json) return writeJson(screen, view)
  const { file } = view
  const nowMs = screen.nowMs()
  const promises = [
    ...(file.availability === undefined ? [] : [`available ${file.availability} % of the time`]),
    ...(file.recoverWithin === undefined ? [] : [`recovers within ${file.recoverWithin}`]),
  ]
  writeDetails(screen, [
    ['Name', view.name],
    ['State', healthCell(view.health)],
    ['Promises', promises.length === 0 ? 'none' : promises.join(', ')],
    ['Components', view.components.map(describeComponent).join('; ')],
    ['Restart tree', `${drawTree(view)}${view.isTreeDerived ? ' (derived from what they need)' : ''}`],
    ['Applied', formatInstant(view.appliedAt, nowMs)],
  ])
  screen.write('\n')
  writeListing(screen, view.restarts, restartListing(nowMs))
}

async function deleteService(session: Session, name: string, options: DeleteOptions): Promise<void> {
  const { api, screen } = session
  const params = { service: name }
  const view = await api.call('getService', { params })
  const machines = machinesOf(view).map((machine) => machine.name)
  await confirmByName(screen, {
    warning: [`This deletes the service ${name} with ${machines.join(', ')} and all their disks.`],
    name,
    isGiven: options.yes === true,
  })
  const begun = await api.call('deleteService', { params })
  if (options.detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  if (screen.json) return writeJson(screen, { ...begun, task })
  screen.write(`${view.name} is deleted.\n`)
}

function describeComponent({ name, replicas, needs }: ServiceView['components'][number]): string {
  const times = replicas === 1 ? '' : ` × ${replicas}`
  return needs.length === 0 ? `${name}${times}` : `${name}${times} (needs ${needs.join(', ')})`
}

/** `back(cache worker) web` */
function drawTree({ tree, components }: ServiceView): string {
  const draw = ({ name, components: own, groups }: RestartGroup): string =>
    `${name}(${[...own, ...groups.map(draw)].join(' ')})`
  const text = tree.map(draw).join(' ')
  const alone = components.filter(({ name }) => !new RegExp(`[( ]${name}[ )]`).test(text)).map(({ name }) => name)
  return [text, ...alone].filter((part) => part !== '').join(' ')
}

type Machine = ServiceView['components'][number]['machines'][number] & {
  readonly component: string
  readonly health: ServiceHealth
}

function machinesOf({ components }: ServiceView): readonly Machine[] {
  return components.flatMap(({ name, health, machines }) =>
    machines.map((machine) => ({ ...machine, component: name, health })),
  )
}

function healthCell(health: ServiceHealth): Cell {
  return { text: health, style: styles[health] }
}

const machineListing: Listing<Machine> = {
  none: 'It has no machines yet.',
  columns: [
    ['COMPONENT', ({ component }) => component],
    ['STATE', ({ health }) => healthCell(health)],
    ['MACHINE', ({ name }) => name],
    ['IS', ({ state }) => state],
    ['SERVES', ({ isServing }) => (isServing ? 'yes' : 'no')],
    ['HOST', ({ hostName }) => hostName ?? '-'],
    ['ADDRESS', ({ address }) => address],
  ],
}

function restartListing(nowMs: number): Listing<ServiceView['restarts'][number]> {
  return {
    none: 'No cell of it was restarted yet.',
    columns: [
      ['AT', ({ at }) => formatInstant(at, nowMs)],
      ['CELL', ({ cell }) => cell],
      ['RESTARTED', ({ components }) => components.join(', ')],
      ['CURED', ({ isCured }) => (isCured === null ? 'under way' : isCured ? 'yes' : 'no')],
      ['WHY', ({ reason }) => reason],
    ],
  }
}

function listing(nowMs: number): Listing<ServiceView> {
  return {
    none: 'There is no service yet: dialtone apply -f FILE.',
    columns: [
      ['NAME', ({ name }) => name],
      ['STATE', ({ health }) => healthCell(health)],
      ['COMPONENTS', ({ components }) => String(components.length)],
      ['SERVING', ({ components }) => `${sum(components, 'serving')}/${sum(components, 'replicas')}`],
      ['RESTARTS', ({ restarts }) => String(restarts.length)],
      ['AGE', ({ createdAt }) => formatAge(createdAt, nowMs)],
    ],
  }
}

function sum(components: ServiceView['components'], field: 'serving' | 'replicas'): number {
  return components.reduce((total, component) => total + component[field], 0)
}

/** `web=3`: repeatable. */
function replicasArgument(text: string, previous: Replicas = {}): Replicas {
  const [, name, number] = /^([a-z][a-z0-9-]*)=(\d{1,3})$/.exec(text) ?? []
  if (name === undefined) throw new InvalidArgumentError(`Replicas are written like web=3; '${text}' is not.`)
  return { ...previous, [name]: Number(number) }
}
