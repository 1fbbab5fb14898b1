/** `dialtone token …` */
import type { Command } from 'commander'
import { type UserRole, userRoleSchema } from '../model/access.ts'
import { formatInstant } from '../model/age.ts'
import { printableText } from '../model/printable-text.ts'
import { choiceOption, secondsOption } from './option-parsers.ts'
import { writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

type CreateOptions = { readonly role?: UserRole; readonly expires?: number }

/** Adds the verbs of access tokens to the command `token`. */
export function addTokenCommands(token: Command): void {
  token
    .command('list')
    .description('list access tokens, without what makes them one')
    .action((_options: object, command: Command) => withSession(command, listTokens))
  token
    .command('create')
    .description('make an access token for a program; it is printed once')
    .argument('<name>')
    .option('--role <role>', 'viewer (the default), operator or administrator', choiceOption(userRoleSchema.options))
    .option('--expires <time>', 'such as 90m or 24h; until it is revoked when left out', secondsOption)
    .action((name: string, options: CreateOptions, command: Command) =>
      withSession(command, (session) => createToken(session, name, options)),
    )
  token
    .command('revoke')
    .description('make an access token worthless at once')
    .argument('<token>', 'name or id')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const answer = await api.call('revokeAccessToken', { params: { token: name } })
        if (screen.json) return writeJson(screen, answer)
        screen.write(`Token ${printableText(name)} is worthless now.\n`)
      }),
    )
}

async function createToken({ api, screen }: Session, name: string, options: CreateOptions): Promise<void> {
  const { role = 'viewer', expires: validForSeconds } = options
  const body = { name, role, ...(validForSeconds === undefined ? {} : { validForSeconds }) }
  const created = await api.call('createAccessToken', { body })
  if (screen.json) return writeJson(screen, created)
  screen.note(`Token ${created.name} has the role ${created.role}. It is shown now and never again:\n`)
  screen.write(`${created.token}\n`)
}

async function listTokens({ api, screen }: Session): Promise<void> {
  const answer = await api.call('listAccessTokens', {})
  if (screen.json) return writeJson(screen, answer)
  writeListing(screen, answer.tokens, {
    none: 'There is no access token.',
    columns: [
      ['ID', ({ id }) => id],
      ['NAME', ({ name }) => name],
      ['ROLE', ({ role }) => role],
      ['BY', ({ createdBy }) => createdBy],
      ['CREATED', ({ createdAt }) => formatInstant(createdAt, screen.nowMs())],
      ['EXPIRES', ({ expiresAt, isExpired }) => (isExpired ? 'has expired' : (expiresAt ?? 'never'))],
    ],
  })
}
