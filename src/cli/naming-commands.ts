/** `dialtone vm rename`, `vm tag` and `vm note`: what a VM is called, and what people have noted of it. */
import type { Command } from 'commander'
import type { VmView } from '../model/api/views.ts'
import { printableText } from '../model/printable-text.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'

type NoteOptions = { readonly clear?: boolean }

/** Adds the verbs to the command `vm`. */
export function addNamingCommands(vm: Command): void {
  vm.command('rename')
    .description('give it another name; its guest takes it at its next start')
    .argument('<vm>')
    .argument('<name>')
    .action((...[name, newName, , command]: [string, string, object, Command]) =>
      withSession(command, async (session) => {
        const view = await session.api.call('nameVm', { params: { vm: name }, body: { name: newName } })
        const runs = view.status.pid !== null
        tell(session, view, runs ? `${view.name}: its guest takes the name at its next start.` : `It is ${view.name}.`)
      }),
    )
  const tag = vm.command('tag').description('marks to find it by: dialtone vm list --tag TAG')
  for (const verb of ['add', 'remove'] as const) {
    tag
      .command(verb)
      .description(verb === 'add' ? 'give it tags' : 'take tags from it')
      .argument('<vm>')
      .argument('<tags...>')
      .action((name: string, tags: readonly string[], ...[, command]: [options: object, command: Command]) =>
        withSession(command, async (session) => {
          const view = await session.api.call('tagVm', { params: { vm: name }, body: { [verb]: [...tags] } })
          tell(session, view, `${view.name} has ${view.tags.length === 0 ? 'no tags' : view.tags.join(', ')}.`)
        }),
      )
  }
  vm.command('note')
    .description('show what is noted of it; with a text, replace that')
    .argument('<vm>')
    .argument('[text]')
    .option('--clear', 'take the note away')
    .action((name: string, text: string | undefined, ...[options, command]: [NoteOptions, Command]) =>
      withSession(command, (session) => note(session, name, { text, isCleared: options.clear === true })),
    )
}

async function note(
  session: Session,
  name: string,
  { text, isCleared }: { readonly text: string | undefined; readonly isCleared: boolean },
): Promise<void> {
  if (text !== undefined && isCleared)
    throw new CommandFailure('invalid-input', 'Give either --clear or a text.', {
      exitCode: exitCodes.usage,
      next: 'A text replaces what was noted before; --clear leaves nothing.',
    })
  const { api } = session
  const params = { vm: name }
  const wanted = isCleared ? '' : text
  const view =
    wanted === undefined
      ? await api.call('getVm', { params })
      : await api.call('noteVm', { params, body: { note: wanted } })
  tell(session, view, view.note === '' ? `Nothing is noted of ${view.name}.` : view.note)
}

function tell({ screen }: Session, view: VmView, sentence: string): void {
  if (screen.json) writeJson(screen, view)
  else screen.write(`${printableText(sentence)}\n`)
}
