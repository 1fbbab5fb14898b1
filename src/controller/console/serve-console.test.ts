/** The console's files over real HTTP. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { listen, makeServer } from '../../transport/serve.ts'
import { consoleListName } from './console-files.ts'
import { serveConsole } from './serve-console.ts'

const script = '/assets/main-1a2b3c4d.js'
const contents = { '/index.html': '<!doctype html><title>Dialtone</title>', [script]: 'export {}' }

async function open(context: TestContext, isBuilt = true) {
  const parent = await mkdtemp(join(tmpdir(), 'dialtone-console-'))
  context.after(() => rm(parent, { recursive: true }))
  const directory = join(parent, 'web')
  await mkdir(join(directory, 'assets'), { recursive: true })
  await writeFile(join(parent, 'secret.txt'), 'nobody may read this')
  await writeFile(join(directory, 'secret.txt'), 'not in the list')
  const files = Object.entries(contents).map(([path, text]) => ({
    path,
    type: path.endsWith('.js') ? 'text/javascript; charset=utf-8' : 'text/html; charset=utf-8',
    sha256: createHash('sha256').update(text).digest('hex'),
    encodings: ['br', 'gzip'],
  }))
  for (const [path, text] of Object.entries(contents)) {
    await writeFile(join(directory, path), text)
    await writeFile(join(directory, `${path}.br`), brotliCompressSync(text))
    await writeFile(join(directory, `${path}.gz`), gzipSync(text))
  }
  const finishBuild = () => writeFile(join(directory, consoleListName), JSON.stringify({ sources: '', files }))
  if (isBuilt) await finishBuild()
  const app = makeServer()
  app.get('/v1/health', () => ({ status: 'ok' }))
  serveConsole(app, directory)
  const port = await listen(app, { host: '127.0.0.1', port: 0 })
  context.after(() => app.close())
  return { get: (path: string, headers: Record<string, string> = {}) => get(port, path, headers), finishBuild }
}

type Answer = { readonly status: number; readonly headers: NodeJS.Dict<string | string[]>; readonly text: string }

/** Not with fetch, which would straighten the path out. */
function get(port: number, path: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    sent.on('error', reject).end()
  })
}

test('every address of a page gets the page, under a policy that allows no script in it', async (context) => {
  const { get } = await open(context)
  for (const path of ['/', '/machines', '/machines/web?tab=events', '/index.html']) {
    const { status, headers, text } = await get(path)
    assert.equal(status, 200, path)
    assert.equal(text, contents['/index.html'])
    assert.equal(headers['cache-control'], 'no-cache')
    assert.match(String(headers['content-security-policy']), /default-src 'none'; script-src 'self';/)
  }
})

test('files with a hash in their names are kept for ever, compressed as the browser takes them', async (context) => {
  const { get } = await open(context)
  const plain = await get(script)
  assert.equal(plain.text, contents[script])
  assert.match(String(plain.headers['cache-control']), /immutable/)
  assert.equal((await get(script, { 'accept-encoding': 'gzip, deflate, br' })).headers['content-encoding'], 'br')
  assert.equal((await get(script, { 'accept-encoding': 'br;q=0, gzip' })).headers['content-encoding'], 'gzip')
  const { status } = await get('/', { 'if-none-match': String((await get('/')).headers['etag']) })
  assert.equal(status, 304)
})

test('no path leads out of the list of files', async (context) => {
  const { get } = await open(context)
  const tricks = ['/secret.txt', '/../secret.txt', '/%2e%2e/secret.txt', '/assets/../../secret.txt', '/..%2fsecret.txt']
  for (const path of [...tricks, '/assets/nothing.js', '/files.json', '//etc/passwd.txt', '/assets/', '/%00.txt']) {
    const { status, text } = await get(path)
    assert.ok(status === 404 || status === 400, `${path} was answered with ${status}`)
    assert.doesNotMatch(text, /nobody|not in the list|root:/)
  }
})

test('the API keeps its own answers', async (context) => {
  const { get } = await open(context)
  assert.equal((await get('/v1/health')).status, 200)
  const { status, text } = await get('/v1/nothing')
  assert.equal(status, 404)
  assert.equal(JSON.parse(text).error.code, 'not-found')
})

test('without a build a page says what to do, and a build that comes later is served', async (context) => {
  const { get, finishBuild } = await open(context, false)
  const before = await get('/')
  assert.equal(before.status, 503)
  assert.match(before.text, /npm run build:web/)
  await finishBuild()
  assert.equal((await get('/')).text, contents['/index.html'])
})
