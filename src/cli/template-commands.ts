/** `dialtone template …` */
import type { Command } from 'commander'
import { formatAge } from '../model/age.ts'
import { formatSize } from '../model/byte-size.ts'
import { printableText } from '../model/printable-text.ts'
import { addWarmTemplateCommand } from './clone-commands.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { addImportTemplateCommand } from './import-template-command.ts'
import { writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

/** Adds the verbs of templates to the command `template`. */
export function addTemplateCommands(template: Command): void {
  template
    .command('list')
    .description('list all templates')
    .action((_options: object, command: Command) => withSession(command, listTemplates))
  addWarmTemplateCommand(template)
  addImportTemplateCommand(template)
  template
    .command('build')
    .description('build a template from the recipe of this name, or take the built one')
    .argument('<recipe>')
    .option('--detach', 'return at once and let the task go on')
    .action((recipe: string, options: { readonly detach?: boolean }, command: Command) =>
      withSession(command, async (session) => {
        const { api, screen } = session
        const begun = await api.call('buildTemplate', { body: { recipe } })
        if (options.detach === true) return writeBegun(screen, begun)
        const task = await followTask(session, begun.task)
        if (screen.json) return writeJson(screen, { task })
        screen.write(`Template ${printableText(recipe)} is ready.\n`)
      }),
    )
}

async function listTemplates({ api, screen }: Session): Promise<void> {
  const answer = await api.call('listTemplates', {})
  if (screen.json) return writeJson(screen, answer)
  const nowMs = screen.nowMs()
  writeListing(screen, answer.templates, {
    none: 'There is no template yet: build one with dialtone template build RECIPE.',
    columns: [
      ['NAME', (template) => template.name],
      ['VERSION', (template) => template.version],
      ['CPUS', (template) => String(template.defaultCpus)],
      ['MEMORY', (template) => formatSize(template.defaultMemoryMiB)],
      ['LEAST', (template) => formatSize(template.minimumMemoryMiB)],
      ['ROOT DISK', (template) => formatSize(template.rootDiskMiB)],
      [
        'BOOTS',
        (template) => (template.boot === 'kernel' ? `kernel ${template.kernelVersion}` : `its disk (${template.os})`),
      ],
      ['BUILT', (template) => formatAge(template.builtAt, nowMs)],
      ['WARM', (template) => (template.warm === null ? 'no' : formatSize(template.warm.memoryMiB))],
      ['DESCRIPTION', (template) => template.description],
    ],
  })
}
