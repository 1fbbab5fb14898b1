/** `dialtone user …` */
import type { Command } from 'commander'
import { type UserRole, userRoleSchema } from '../model/access.ts'
import { formatInstant } from '../model/age.ts'
import { printableText } from '../model/printable-text.ts'
import { confirmByName } from './confirm.ts'
import { choiceOption } from './option-parsers.ts'
import { readPassword } from './read-password.ts'
import { writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

const roleOption = choiceOption(userRoleSchema.options)

/** Adds the verbs of users to the command `user`. */
export function addUserCommands(user: Command): void {
  user
    .command('list')
    .description('list who may sign in')
    .action((_options: object, command: Command) => withSession(command, listUsers))
  user
    .command('create')
    .description('let somebody sign in; the password is asked for, or the first line of standard input')
    .argument('<name>')
    .option('--role <role>', 'viewer (the default), operator or administrator', roleOption)
    .action((name: string, { role = 'viewer' }: { readonly role?: UserRole }, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const password = await readPassword(`Password of ${printableText(name)}: `)
        const created = await api.call('createUser', { body: { name, role, password } })
        if (screen.json) return writeJson(screen, created)
        screen.write(`${created.name} may sign in, with the role ${created.role}.\n`)
      }),
    )
  user
    .command('set-password')
    .description('give a user another password, which ends all sessions of that user')
    .argument('<name>')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const password = await readPassword(`New password of ${printableText(name)}: `)
        const changed = await api.call('setUserPassword', { params: { user: name }, body: { password } })
        if (screen.json) return writeJson(screen, changed)
        screen.write(`${changed.name} has another password, and is signed out everywhere.\n`)
      }),
    )
  user
    .command('set-role')
    .description('change what a user may do, from the next call on')
    .argument('<name>')
    .argument('<role>', 'viewer, operator or administrator', roleOption)
    .action((...[name, role, , command]: [string, UserRole, object, Command]) =>
      withSession(command, async ({ api, screen }) => {
        const changed = await api.call('setUserRole', { params: { user: name }, body: { role } })
        if (screen.json) return writeJson(screen, changed)
        screen.write(`${changed.name} has the role ${changed.role}.\n`)
      }),
    )
  user
    .command('delete')
    .description('delete a user with all sessions and tokens of that user')
    .argument('<name>')
    .option('--yes', 'do not ask')
    .action((name: string, options: { readonly yes?: boolean }, command: Command) =>
      withSession(command, (session) => deleteUser(session, name, options.yes === true)),
    )
}

async function listUsers({ api, screen }: Session): Promise<void> {
  const answer = await api.call('listUsers', {})
  if (screen.json) return writeJson(screen, answer)
  writeListing(screen, answer.users, {
    none: 'There is no user.',
    columns: [
      ['NAME', (user) => user.name],
      ['ROLE', (user) => user.role],
      ['SIGNS IN', (user) => (user.canSignIn ? 'yes' : 'no password')],
      ['CREATED', (user) => formatInstant(user.createdAt, screen.nowMs())],
    ],
  })
}

async function deleteUser({ api, screen }: Session, name: string, isGiven: boolean): Promise<void> {
  const warning = [`${name} is deleted, with all sessions and tokens of that user.`]
  await confirmByName(screen, { warning, name, isGiven })
  const answer = await api.call('deleteUser', { params: { user: name } })
  if (screen.json) return writeJson(screen, answer)
  screen.write(`User ${printableText(name)} is deleted.\n`)
}
