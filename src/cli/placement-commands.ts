/** `dialtone vm placement` and `dialtone host label`: where machines may run, and the labels that rules point at. */
import type { Command } from 'commander'
import type { PlacementView } from '../model/api/placement-routes.ts'
import { describeLabels, type Labels, labelKeySchema, parseLabel } from '../model/labels.ts'
import { describePlacementRules, noPlacementRules } from '../model/placement-rules.ts'
import { printableText } from '../model/printable-text.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { addPlacementOptions, type PlacementOptions, placementRulesOf } from './placement-options.ts'
import { type Listing, type Screen, writeDetails, writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

type SetOptions = PlacementOptions & { readonly clear?: boolean }

/** Adds the verb `placement` to the command `vm`. */
export function addPlacementCommand(vm: Command): void {
  addPlacementOptions(
    vm
      .command('placement')
      .description('say where it may run and what each host says to it; with rules, replace those that it has')
      .argument('<vm>'),
  )
    .option('--clear', 'take all its labels and rules away')
    .action((name: string, options: SetOptions, command: Command) =>
      withSession(command, (session) => placement(session, name, options)),
    )
}

/** Adds the verb `label` to the command `host`. */
export function addHostLabelCommand(host: Command): void {
  host
    .command('label')
    .description('show the labels of a host; set them with key=value, remove them with key-')
    .argument('<host>')
    .argument('[labels...]')
    .action((name: string, texts: readonly string[], ...[, command]: [options: object, command: Command]) =>
      withSession(command, (session) => labelHost(session, name, texts)),
    )
}

async function placement({ api, screen }: Session, name: string, options: SetOptions): Promise<void> {
  const wished = placementRulesOf(options)
  if (wished !== undefined && options.clear === true) {
    throw new CommandFailure('invalid-input', 'Give either --clear or rules.', {
      exitCode: exitCodes.usage,
      next: 'Rules replace all that the machine had before; --clear leaves it none.',
    })
  }
  const body = wished ?? (options.clear === true ? noPlacementRules : undefined)
  const params = { vm: name }
  const view =
    body === undefined
      ? await api.call('getVmPlacement', { params })
      : await api.call('setVmPlacement', { params, body })
  if (screen.json) return writeJson(screen, view)
  writePlacement(screen, view)
}

function writePlacement(screen: Screen, { vmName, hostName, placementRules, broken, verdicts }: PlacementView): void {
  writeDetails(screen, [
    ['Name', vmName],
    ['Host', hostName ?? '-'],
    ['Labels', describeLabels(placementRules.labels)],
    ['Rules', describePlacementRules(placementRules)],
    ['Broken', broken.length === 0 ? 'none' : `${broken.join('; ')} (it is not moved for that)`],
  ])
  screen.write('\n')
  writeListing(screen, verdicts, verdictListing)
}

const verdictListing: Listing<PlacementView['verdicts'][number]> = {
  none: 'No host has joined yet.',
  columns: [
    ['HOST', (verdict) => verdict.hostName],
    ['FITS', (verdict) => (verdict.fits ? 'yes' : 'no')],
    ['SCORE', (verdict) => (verdict.fits ? verdict.score.toFixed(2) : '-')],
    ['REASON', (verdict) => verdict.reason],
  ],
}

async function labelHost({ api, screen }: Session, name: string, texts: readonly string[]): Promise<void> {
  const change = { set: {} as Record<string, string>, remove: [] as string[] }
  for (const text of texts) readChange(text, change)
  const params = { host: name }
  const host =
    texts.length === 0
      ? await api.call('getHost', { params })
      : await api.call('changeHostLabels', { params, body: change })
  if (screen.json) return writeJson(screen, host)
  screen.write(`${printableText(`${host.name}: ${describeLabels(host.labels)}`)}\n`)
}

function readChange(
  text: string,
  change: { readonly set: Labels & Record<string, string>; readonly remove: string[] },
) {
  const label = parseLabel(text)
  const removed = text.endsWith('-') ? labelKeySchema.safeParse(text.slice(0, -1)).data : undefined
  if (label !== undefined) change.set[label.key] = label.value
  else if (removed !== undefined) change.remove.push(removed)
  else
    throw new CommandFailure(
      'invalid-input',
      `'${text}' is neither a label like zone=north nor a removal like zone-.`,
      {
        exitCode: exitCodes.usage,
        next: 'For example: dialtone host label node1 zone=north rack-.',
      },
    )
}
