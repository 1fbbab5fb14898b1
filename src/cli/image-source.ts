/** Where an image is imported from: a file of this machine, which is uploaded, or an address that the controller fetches it from. */
import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { ImageSource } from '../model/api/image-routes.ts'
import { formatSize } from '../model/byte-size.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import type { Session } from './session.ts'

export async function bringImage(
  session: Session,
  from: string,
  { sha256 }: { readonly sha256?: string | undefined },
): Promise<ImageSource> {
  if (/^https?:\/\//.test(from)) return { kind: 'url', url: from, ...(sha256 === undefined ? {} : { sha256 }) }
  if (sha256 === undefined) return { kind: 'upload', upload: await uploadFile(session, from) }
  throw new CommandFailure('invalid-input', '--sha256 is for images that are fetched from an address.', {
    exitCode: exitCodes.usage,
    next: 'Leave it out: what is uploaded is the file that you have.',
  })
}

async function uploadFile({ api, screen }: Session, path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isFile() !== true || found.size === 0)
    throw new CommandFailure('not-found', `${path} is no file with anything in it.`, {
      exitCode: exitCodes.usage,
      next: 'Name a file of this machine, or an address that begins with http:// or https://.',
    })
  const upload = randomBytes(16).toString('hex')
  const query = { bytes: String(found.size) }
  const stream = await api.upgrade('upload', { params: { upload }, query })
  screen.note(`Uploads ${formatSize(Math.ceil(found.size / 2 ** 20))} …\n`)
  const answer = text(stream)
  const file = createReadStream(path)
  file.once('error', () => stream.destroy())
  // Not ended with the file: the answer comes on the same connection.
  file.pipe(stream, { end: false })
  const words = (await answer.catch(() => '')).trim()
  file.destroy()
  stream.destroy()
  if (words === 'ok') return upload
  throw new DialtoneError('storage-failed', `${path} was not uploaded: ${words || 'the connection was cut'}`)
}
