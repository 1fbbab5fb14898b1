/** `dialtone template …` */
import type { Command } from 'commander'
import { formatAge, formatInstant } from '../model/age.ts'
import type { TemplateDetails } from '../model/api/template-routes.ts'
import { formatSize } from '../model/byte-size.ts'
import { printableText } from '../model/printable-text.ts'
import { addWarmTemplateCommand } from './clone-commands.ts'
import { confirmByName } from './confirm.ts'
import { addCreateTemplateCommand } from './create-template-command.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { addImportTemplateCommand } from './import-template-command.ts'
import { writeDetails, writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

/** Adds the verbs of templates to the command `template`. */
export function addTemplateCommands(template: Command): void {
  template
    .command('list')
    .description('list all templates: of each name the version that new VMs are made from')
    .option('--versions', 'all versions')
    .action((options: ListOptions, command: Command) =>
      withSession(command, (session) => listTemplates(session, options)),
    )
  template
    .command('show')
    .description('show everything about a template: the newest of a name, or one version')
    .argument('<template>')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, (session) => showTemplate(session, name)),
    )
  template
    .command('delete')
    .description('delete a version of a template that no VM was made from')
    .argument('<template>')
    .option('--yes', 'do not ask')
    .action((name: string, options: { readonly yes?: boolean }, command: Command) =>
      withSession(command, (session) => deleteTemplate(session, name, options.yes === true)),
    )
  addCreateTemplateCommand(template)
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

type ListOptions = { readonly versions?: boolean }

async function listTemplates({ api, screen }: Session, { versions }: ListOptions): Promise<void> {
  const answer = await api.call('listTemplates', {})
  if (screen.json) return writeJson(screen, answer)
  const nowMs = screen.nowMs()
  const newestFirst = answer.templates.toSorted(
    (left, right) => left.name.localeCompare(right.name) || right.builtAt.localeCompare(left.builtAt),
  )
  const shown = newestFirst.filter(({ name }, index) => versions === true || newestFirst[index - 1]?.name !== name)
  writeListing(screen, shown, {
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

async function showTemplate({ api, screen }: Session, name: string): Promise<void> {
  const template = await api.call('getTemplate', { params: { template: name } })
  if (screen.json) return writeJson(screen, template)
  const { madeFrom } = template
  writeDetails(screen, [
    ['Name', template.name],
    ['Version', template.version],
    [
      'Versions',
      template.versions.map((version, index) => (index === 0 ? `${version} (for new VMs)` : version)).join(', '),
    ],
    ['Description', template.description],
    ['Made from', madeFrom === null ? originWords[template.origin] : describeOrigin(madeFrom, screen.nowMs())],
    ['Made', formatInstant(template.builtAt, screen.nowMs())],
    [
      'Boots',
      template.boot === 'kernel' ? `kernel ${template.kernelVersion}` : `its disk (${describeGuest(template)})`,
    ],
    ['Memory', `${formatSize(template.defaultMemoryMiB)}, at least ${formatSize(template.minimumMemoryMiB)}`],
    ['CPUs', String(template.defaultCpus)],
    ['Root disk', formatSize(template.rootDiskMiB)],
    ['Ports', template.ports.length === 0 ? 'not known' : template.ports.join(', ')],
    ['Warm image', template.warm === null ? 'no' : formatSize(template.warm.memoryMiB)],
    ['VMs', template.vmNames.length === 0 ? 'none' : template.vmNames.join(', ')],
  ])
}

const originWords: Readonly<Record<TemplateDetails['origin'], string>> = {
  recipe: 'a recipe',
  image: 'an image from outside',
  machine: 'a machine',
}

function describeOrigin(madeFrom: NonNullable<TemplateDetails['madeFrom']>, nowMs: number): string {
  const { vmName, snapshotName, takenAt, consistency } = madeFrom
  const what = snapshotName === null ? vmName : `${vmName} at its snapshot ${snapshotName}`
  const how =
    consistency === 'guest-frozen' || consistency === 'stopped' ? 'file systems in order' : 'as after a power cut'
  return `${what}, ${formatInstant(takenAt, nowMs)} (${how})`
}

function describeGuest({ os, guest }: TemplateDetails): string {
  return guest === null ? os : `${os}, ${guest.boot}`
}

async function deleteTemplate({ api, screen }: Session, name: string, isGiven: boolean): Promise<void> {
  const { id, version, versions, ...template } = await api.call('getTemplate', { params: { template: name } })
  // A name alone says which one only while there is one.
  const reference = name === template.name && versions.length > 1 ? name : id
  await confirmByName(screen, { warning: [`This deletes ${version} of the template ${template.name}.`], name, isGiven })
  await api.call('deleteTemplate', { params: { template: reference } })
  if (screen.json) writeJson(screen, { deleted: version })
  else screen.write(`${printableText(version)} is deleted.\n`)
}
