/**
 * Passwords as they are kept: argon2id with a salt, in PHC form, so that its parameters may grow. Each costs memory and a processor for a
 * moment, so few are looked at together, and a crowd at the door is sent away instead of queued without bound.
 */
import { type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { DialtoneError } from '../../model/dialtone-error.ts'

const argon2id = promisify((parameters: Argon2Parameters, done: (error: Error | null, hash: Buffer) => void) =>
  argon2('argon2id', parameters, done),
)
const present = { memoryKiB: 19_456, passes: 2, lanes: 1 }
const hashBytes = 32
const atOnce = 2
const mostWaiting = 32
const phcForm = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/** The password in the form in which it is kept. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  const hash = await derive(password, { ...present, salt, bytes: hashBytes })
  const { memoryKiB, passes, lanes } = present
  return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${lanes}$${unpadded(salt)}$${unpadded(hash)}`
}

/** Whether it is this password. Takes as long for a user that there is not (null), so that names cannot be guessed by the time it takes. */
export async function isPassword(kept: string | null, password: string): Promise<boolean> {
  const match = phcForm.exec(kept ?? nobodys)
  if (match === null) throw new DialtoneError('internal', 'A stored password is in no form that is known here.')
  const [, memoryKiB, passes, lanes, salt = '', hash = ''] = match
  const expected = Buffer.from(hash, 'base64')
  const given = await derive(password, {
    memoryKiB: Number(memoryKiB),
    passes: Number(passes),
    lanes: Number(lanes),
    salt: Buffer.from(salt, 'base64'),
    bytes: expected.length,
  })
  return timingSafeEqual(given, expected) && kept !== null
}

type Derivation = {
  readonly memoryKiB: number
  readonly passes: number
  readonly lanes: number
  readonly salt: Buffer
  readonly bytes: number
}

let underWay = 0
const waiting: (() => void)[] = []

async function derive(password: string, { memoryKiB, passes, lanes, salt, bytes }: Derivation): Promise<Buffer> {
  if (waiting.length >= mostWaiting)
    throw new DialtoneError('too-many-attempts', 'Too many passwords are being looked at: try again in some seconds.')
  if (underWay >= atOnce) await new Promise<void>((resolve) => void waiting.push(resolve))
  else underWay += 1
  try {
    const message = password.normalize('NFKC')
    return await argon2id({ message, nonce: salt, parallelism: lanes, tagLength: bytes, memory: memoryKiB, passes })
  } finally {
    const next = waiting.shift()
    if (next === undefined) underWay -= 1
    else next()
  }
}

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')

/** Of no password that anybody has. */
const nobodys = `$argon2id$v=19$m=${present.memoryKiB},t=${present.passes},p=${present.lanes}$${unpadded(Buffer.alloc(16))}$${unpadded(Buffer.alloc(hashBytes))}`
