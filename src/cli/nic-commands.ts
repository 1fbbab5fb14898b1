/** `dialtone nic …` */
import type { Command } from 'commander'
import { printableText } from '../model/printable-text.ts'
import { confirmByName } from './confirm.ts'
import { followTask } from './follow-task.ts'
import { tellPending } from './pending-lines.ts'
import { writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

type AddOptions = { readonly network: string; readonly address?: string }

/** Adds the verbs of network cards to the command `nic`. */
export function addNicCommands(nic: Command): void {
  nic
    .command('list')
    .description('list the network cards of a VM')
    .argument('<vm>')
    .action((vm: string, _options: object, command: Command) =>
      withSession(command, (session) => listNics(session, vm)),
    )
  nic
    .command('add')
    .alias('attach')
    .description('give a VM one more network card, while it runs or is stopped')
    .argument('<vm>')
    .requiredOption('--network <network>', 'the network that it is in')
    .option('--address <address>', 'IPv4 address; assigned when left out')
    .action((vm: string, { network, address }: AddOptions, command: Command) =>
      withSession(command, async (session) => {
        const { api, screen } = session
        const view = await api.call('addNic', { params: { vm }, body: { network, address } })
        if (screen.json) return writeJson(screen, view)
        const added = view.nics.find(({ networkName, networkId }) => networkName === network || networkId === network)
        screen.write(printableText(`${view.name} has ${added?.address ?? 'a card'} in ${network}.`))
        screen.write('\n')
        await tellPending(session, view)
      }),
    )
  const remove = nic
    .command('remove')
    .alias('detach')
    .description('take a network card out of a VM, while it runs or is stopped')
    .argument('<vm>')
    .argument('<nic>', 'its number, or its network')
    .option('--yes', 'do not ask')
  remove.action((vm: string, which: string, { yes }: { readonly yes?: boolean }) =>
    withSession(remove, (session) => removeNic(session, vm, { which, isGiven: yes === true })),
  )
}

async function listNics({ api, screen }: Session, vm: string): Promise<void> {
  const answer = await api.call('listNics', { params: { vm } })
  if (screen.json) return writeJson(screen, answer)
  writeListing(screen, answer.nics, {
    none: `${vm} has no network card.`,
    columns: [
      ['NUMBER', (card) => String(card.number)],
      ['NETWORK', (card) => card.networkName],
      ['MAC', (card) => card.macAddress],
      ['ADDRESS', (card) => card.address],
      ['IPV6', (card) => card.address6 ?? '-'],
    ],
  })
}

async function removeNic(
  session: Session,
  vm: string,
  { which, isGiven }: { readonly which: string; readonly isGiven: boolean },
): Promise<void> {
  const { api, screen } = session
  const before = await api.call('getVm', { params: { vm } })
  const warning = [`This takes the network card ${which} out of ${before.name}; its address becomes free for others.`]
  await confirmByName(screen, { warning, name: before.name, isGiven })
  const begun = await api.call('removeNic', { params: { vm: before.id, nic: which } })
  const task = await followTask(session, begun.task)
  const view = await api.call('getVm', { params: { vm: before.id } })
  if (screen.json) return writeJson(screen, { vm: view, task })
  screen.write(
    `${printableText(view.name)} has ${view.nics.length} network card${view.nics.length === 1 ? '' : 's'}.\n`,
  )
}
