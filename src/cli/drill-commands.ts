/** `dialtone drill KIND VM`: makes a machine really fail, once or again and again, and says how long it was away. */
import { setTimeout as delay } from 'node:timers/promises'
import { type Command, InvalidArgumentError } from 'commander'
import type { TaskView } from '../model/api/views.ts'
import { printableText } from '../model/printable-text.ts'
import { type DrillKind, drillKindSchema } from '../model/recovery/drill.ts'
import { followTask } from './follow-task.ts'
import { secondsOption, wholeNumberOption } from './option-parsers.ts'
import { writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'

type DrillOptions = { readonly repeat: number; readonly every: number; readonly yes?: boolean }

/** Adds what `drill` does to that command. */
export function addDrillCommand(drillCommand: Command): void {
  drillCommand
    .description('make a machine really fail, wait for its recovery, and enter it apart from real outages')
    .argument('<kind>', drillKindSchema.options.join(', '), kindArgument)
    .argument('<vm>')
    .option('--repeat <number>', 'how often', wholeNumberOption, 1)
    .option('--every <time>', 'pause between two drills', secondsOption, 2)
    .option('--yes', 'also where it is not marked drillable')
    .action((kind: DrillKind, vm: string, ...[options, command]: [DrillOptions, Command]) =>
      withSession(command, (session) => drill(session, { kind, vm, options })),
    )
}

async function drill(
  session: Session,
  { kind, vm, options }: { readonly kind: DrillKind; readonly vm: string; readonly options: DrillOptions },
): Promise<void> {
  const { api, screen } = session
  const tasks: TaskView[] = []
  for (let count = 1; count <= options.repeat; count += 1) {
    if (count > 1) await delay(options.every * 1000)
    const begun = await api.call('drillVm', { params: { vm }, body: { kind, confirmed: options.yes === true } })
    const task = await followTask(session, begun.task)
    tasks.push(task)
    const { outages } = await api.call('listOutages', { query: { service: begun.vm.id, drill: task.id } })
    const [outage] = outages
    const away =
      outage === undefined
        ? 'no answer was missed'
        : outage.durationMs === null
          ? 'it is not over yet'
          : `away for ${Math.round(outage.durationMs)} ms`
    if (!screen.json) screen.write(`${printableText(`${count}/${options.repeat} ${kind} ${vm}: ${away}`)}\n`)
  }
  if (screen.json) writeJson(screen, { tasks })
}

function kindArgument(text: string): DrillKind {
  const kind = drillKindSchema.safeParse(text)
  if (kind.success) return kind.data
  throw new InvalidArgumentError(`Give one of ${drillKindSchema.options.join(', ')}.`)
}
