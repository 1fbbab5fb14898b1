/** Serves the built console beside the API: its files by their names, its one page for every address that a person may open. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type BuiltConsole, type ConsoleFile, readBuiltConsole } from './console-files.ts'

/** Scripts only from here and never in the page, nothing from elsewhere, in no frame. Component styles need attributes, hence style. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

const always = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

const page = '/index.html'
const hashedFolder = '/assets/'
const suffixes = { br: '.br', gzip: '.gz' } as const

/** Adds the console to the API's server. Without a build in the directory it says so to whoever opens a page. */
export function serveConsole(app: FastifyInstance, directory: string): void {
  let built: BuiltConsole | undefined
  const answer = async (request: FastifyRequest, reply: FastifyReply) => {
    const path = request.url.split('?', 1)[0] ?? '/'
    if (path === '/v1' || path.startsWith('/v1/')) return reply.callNotFound()
    built ??= await readBuiltConsole(directory)
    if (built === undefined) return sendNotBuilt(reply)
    const file = built.files.get(path) ?? (isPage(path) ? built.files.get(page) : undefined)
    return file === undefined ? reply.callNotFound() : sendFile(built, file, { request, reply })
  }
  for (const url of ['/', '/*']) app.route({ method: 'GET', url, exposeHeadRoute: true, handler: answer })
}

/** Addresses of the console's own pages have no ending; what has one is a file that is there or isn't. */
function isPage(path: string): boolean {
  return !/\.\w+$/.test(path) && !path.startsWith(hashedFolder)
}

type Exchange = { readonly request: FastifyRequest; readonly reply: FastifyReply }

async function sendFile(built: BuiltConsole, file: ConsoleFile, { request, reply }: Exchange): Promise<FastifyReply> {
  const tag = `"${file.sha256.slice(0, 32)}"`
  const isHashed = file.path.startsWith(hashedFolder)
  reply.headers({
    ...always,
    etag: tag,
    vary: 'accept-encoding',
    'cache-control': isHashed ? 'public, max-age=31536000, immutable' : 'no-cache',
  })
  if (request.headers['if-none-match'] === tag) return reply.code(304).send()
  const accepted = request.headers['accept-encoding']
  const encoding = file.encodings.find((one) => isAccepted(accepted, one))
  if (encoding !== undefined) reply.header('content-encoding', encoding)
  const bytes = await readFile(join(built.directory, `${file.path}${encoding === undefined ? '' : suffixes[encoding]}`))
  return reply.type(file.type).send(bytes)
}

function isAccepted(header: string | string[] | undefined, encoding: string): boolean {
  const offers = [header].flat().join(',').split(',')
  return offers.some((offer) => {
    const [name = '', ...parameters] = offer.split(';').map((part) => part.trim())
    return name === encoding && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))
  })
}

function sendNotBuilt(reply: FastifyReply): FastifyReply {
  const text =
    'The console is not built here.\nBuild it with: npm run build:web\nThe API is at /v1, and the command line works.\n'
  return reply.code(503).headers(always).type('text/plain; charset=utf-8').send(text)
}
