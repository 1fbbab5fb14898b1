/** `dialtone apply -f FILE`: makes a service as its file says, or shows what that would do. */
import type { Command } from 'commander'
import { z } from 'zod'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { printableText } from '../../model/printable-text.ts'
import type { ServicePlan, ServiceStep } from '../../model/service/service-plan.ts'
import { followTask, writeBegun } from '../follow-task.ts'
import { type Listing, type Screen, writeJson, writeListing } from '../screen.ts'
import { type Session, withSession } from '../session.ts'
import { type ReadServiceFile, readServiceFile } from './read-service-file.ts'

type ApplyOptions = {
  readonly file: string
  readonly dryRun?: boolean
  readonly prune?: boolean
  readonly detach?: boolean
}

/** Makes the command `apply` apply. */
export function addApplyCommand(apply: Command): void {
  apply
    .requiredOption('-f, --file <file>', 'the service file (YAML); - for standard input')
    .option('--dry-run', 'only show what would be done')
    .option('--prune', 'delete the machines of components that the file does not name, with their disks')
    .option('--detach', 'return at once and let the task go on')
    .action(async (options: ApplyOptions, command: Command) => {
      const read = await readServiceFile(options.file)
      return withSession(command, (session) => applyFile(session, read, options))
    })
}

async function applyFile(session: Session, read: ReadServiceFile, options: ApplyOptions): Promise<void> {
  const { api } = session
  const { dryRun = false, prune = false } = options
  const body = { file: read.file, dryRun, prune }
  const answer = await api.call('applyService', { body }).catch((error: unknown) => {
    throw withLines(read, error)
  })
  await writeApplied(session, answer, { isDryRun: dryRun, isDetached: options.detach === true })
}

/** Shows the plan and follows the task, where there is one. */
export async function writeApplied(
  session: Session,
  { plan, task }: { readonly plan: ServicePlan; readonly task: Parameters<typeof followTask>[1] | null },
  { isDryRun, isDetached }: { readonly isDryRun: boolean; readonly isDetached: boolean },
): Promise<void> {
  const { screen } = session
  if (!screen.json) writePlan(screen, plan, isDryRun)
  if (task === null) return screen.json ? writeJson(screen, { plan, task }) : undefined
  if (isDetached) return screen.json ? writeJson(screen, { plan, task }) : writeBegun(screen, { task })
  const ended = await followTask(session, task)
  if (screen.json) return writeJson(screen, { plan, task: ended })
  screen.write(printableText(`${plan.service} is as the file says.`))
  screen.write('\n')
}

function writePlan(screen: Screen, { service, isNew, steps, warnings }: ServicePlan, isDryRun: boolean): void {
  for (const warning of warnings) screen.note(`${printableText(`warning: ${warning}`)}\n`)
  if (steps.length === 0) {
    if (isDryRun) screen.write(`${printableText(`Nothing is to be done: ${service} is as the file says.`)}\n`)
    return
  }
  if (isDryRun) screen.write(`${printableText(`${service}${isNew ? ' is new' : ''}: this would be done`)}\n`)
  writeListing(screen, steps, stepListing)
}

const signs: Readonly<Record<ServiceStep['kind'], string>> = { create: '+', change: '~', delete: '-', keep: '=' }

const stepListing: Listing<ServiceStep> = {
  none: 'Nothing is to be done.',
  columns: [
    [' ', ({ kind }) => signs[kind]],
    ['WHAT', ({ kind }) => kind],
    ['MACHINE', ({ vmName }) => vmName],
    ['WHY', ({ reason }) => reason],
  ],
}

const refusalSchema = z.object({
  problems: z.array(z.object({ path: z.array(z.union([z.string(), z.number()])), message: z.string() })),
})

/** What the controller refuses of the file is shown where it stands, too. */
function withLines(read: ReadServiceFile, error: unknown): unknown {
  const refusal = error instanceof DialtoneError ? refusalSchema.safeParse(error.detail) : undefined
  return refusal?.success === true ? read.refuse(refusal.data.problems) : error
}
