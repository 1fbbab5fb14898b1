/** `dialtone firewall …`: security groups, their rules, and the machines that have them. */
import type { Command } from 'commander'
import { formatAge } from '../model/age.ts'
import type { SecurityGroupView } from '../model/api/firewall-routes.ts'
import type { PortRange } from '../model/firewall.ts'
import { printableText } from '../model/printable-text.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { confirmByName } from './confirm.ts'
import { directionOption, portsOption, protocolOption } from './firewall-options.ts'
import { writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

/** Adds the verbs of security groups to the command `firewall`. */
export function addFirewallCommands(firewall: Command): void {
  addGroupCommands(firewall.command('group').description('make, look at and delete security groups'))
  addRuleCommands(firewall.command('rule').description('what a group lets through'))
  firewall
    .command('apply')
    .description('give a VM these security groups and no others, also while it runs')
    .argument('<vm>')
    .argument('[group...]')
    .option('--none', 'take all of them away: the VM is open')
    .action((vm: string, groups: string[], ...[options, command]: [{ readonly none?: boolean }, Command]) =>
      withSession(command, (session) => apply(session, { vm, groups, isNone: options.none === true })),
    )
}

function addGroupCommands(group: Command): void {
  group
    .command('create')
    .description('make a group, which lets nothing in until it has rules')
    .argument('<name>')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const created = await api.call('createSecurityGroup', { body: { name } })
        if (screen.json) return writeJson(screen, created)
        screen.write(
          `The security group ${name} is made. ARP, DHCP and neighbour discovery always pass; let more in with dialtone firewall rule add ${name}.\n`,
        )
      }),
    )
  group
    .command('list')
    .description('list all groups')
    .action((_options: object, command: Command) => withSession(command, listGroups))
  group
    .command('show')
    .description('show a group with its rules')
    .argument('<group>')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, async (session) =>
        writeGroup(session, await session.api.call('getSecurityGroup', { params: { group: name } })),
      ),
    )
  group
    .command('delete')
    .description('delete a group that nothing uses')
    .argument('<group>')
    .option('--yes', 'do not ask')
    .action((name: string, options: { readonly yes?: boolean }, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const { id, name: fullName, rules } = await api.call('getSecurityGroup', { params: { group: name } })
        const warning = [`The security group ${fullName} and its ${rules.length} rules will be gone.`]
        await confirmByName(screen, { warning, name: fullName, isGiven: options.yes === true })
        const answer = await api.call('deleteSecurityGroup', { params: { group: id } })
        if (screen.json) return writeJson(screen, answer)
        screen.write(`The security group ${printableText(fullName)} is deleted.\n`)
      }),
    )
}

type RuleOptions = {
  readonly direction: 'in' | 'out'
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'any'
  readonly ports?: readonly PortRange[]
  readonly from?: string
  readonly to?: string
}

function addRuleCommands(rule: Command): void {
  const verbs = {
    add: { route: 'addSecurityRule', summary: 'let something through; machines that run have it at once' },
    remove: { route: 'removeSecurityRule', summary: 'remove the rule that says exactly this' },
  } as const
  for (const [verb, { route, summary }] of Object.entries(verbs))
    rule
      .command(verb)
      .description(summary)
      .argument('<group>')
      .requiredOption('--direction <in|out>', 'what the machine is sent, or what it sends', directionOption)
      .requiredOption('--protocol <protocol>', 'tcp, udp, icmp or any', protocolOption)
      .option('--ports <ports>', 'such as 80,443 or 8000-8010; all when left out', portsOption)
      .option('--from <source>', 'for in: an address range, a group, or any, which is the default')
      .option('--to <destination>', 'for out: the same')
      .action((group: string, options: RuleOptions, command: Command) =>
        withSession(command, async (session) =>
          writeGroup(session, await session.api.call(route, { params: { group }, body: ruleOf(options) })),
        ),
      )
}

function ruleOf({ direction, protocol, ports, from, to }: RuleOptions) {
  const [peer, misplaced] = direction === 'in' ? [from, to] : [to, from]
  if (misplaced !== undefined) {
    throw new CommandFailure(
      'invalid-input',
      `A rule for ${direction} has ${direction === 'in' ? 'a source' : 'a destination'}.`,
      {
        exitCode: exitCodes.usage,
        next: direction === 'in' ? 'Say where it comes from with --from.' : 'Say where it goes with --to.',
      },
    )
  }
  return { direction, protocol, ports: [...(ports ?? [])], ...(peer === undefined ? {} : { peer }) }
}

async function apply(
  { api, screen }: Session,
  { vm, groups, isNone }: { readonly vm: string; readonly groups: readonly string[]; readonly isNone: boolean },
): Promise<void> {
  if (isNone === groups.length > 0) {
    throw new CommandFailure('invalid-input', 'Give the groups that the VM is to have, or --none.', {
      exitCode: exitCodes.usage,
      next: 'List them with dialtone firewall group list.',
    })
  }
  const after = await api.call('setVmSecurityGroups', { params: { vm }, body: { groups: [...groups] } })
  if (screen.json) return writeJson(screen, after)
  const what = isNone ? 'is open: it has no security group' : `has ${after.securityGroups.join(', ')}`
  screen.write(`${printableText(`${after.name} ${what}`)}.\n`)
}

async function listGroups({ api, screen }: Session): Promise<void> {
  const answer = await api.call('listSecurityGroups', {})
  if (screen.json) return writeJson(screen, answer)
  const nowMs = screen.nowMs()
  writeListing(screen, answer.groups, {
    none: 'There is no security group yet: make one with dialtone firewall group create.',
    columns: [
      ['NAME', (group) => group.name],
      ['RULES', (group) => String(group.rules.length)],
      ['VMS', (group) => group.vmNames.join(', ') || '-'],
      ['AGE', (group) => formatAge(group.createdAt, nowMs)],
    ],
  })
}

function writeGroup({ screen }: Session, group: SecurityGroupView): void {
  if (screen.json) return writeJson(screen, group)
  const lines = [
    `${group.name} (${group.id}), of ${group.vmNames.length === 0 ? 'no VM' : group.vmNames.join(', ')}`,
    ...group.rules.map(({ sentence }) => `  ${sentence}`),
    ...(group.rules.some(({ direction }) => direction === 'in') ? [] : ['  nothing else is let in']),
    ...(group.rules.some(({ direction }) => direction === 'out') ? [] : ['  out: everything']),
    '  always: ARP, DHCP, neighbour discovery, metadata, the machine’s own host, and answers to what was let through',
  ]
  screen.write(lines.map((line) => `${printableText(line)}\n`).join(''))
}
