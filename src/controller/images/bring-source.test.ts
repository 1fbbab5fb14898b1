import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { bringSource } from './bring-source.ts'
import { clearUploads, receiveUpload } from './uploads.ts'

const content = Buffer.alloc(200_000, 'disk')
let folder = ''
let uploads = ''
let base = ''
const server = createServer((request, response) => {
  if (request.url === '/image') response.end(content)
  else if (request.url === '/cut')
    response.writeHead(200, { 'content-length': '1000' }).write('x', () => response.destroy())
  else response.writeHead(404).end()
})

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dialtone-bring-'))
  uploads = join(folder, 'uploads')
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert(typeof address === 'object' && address !== null)
  base = `http://127.0.0.1:${address.port}`
})
after(async () => {
  server.close()
  server.closeAllConnections()
  await rm(folder, { recursive: true, force: true })
})

const bring = (source: Parameters<typeof bringSource>[0]['source'], signal = new AbortController().signal) =>
  bringSource({ source, uploads, path: join(folder, 'brought'), signal, onProgress: () => undefined })
const upload = async (id: string, bytes: number, sent: Buffer) => {
  const stream = await receiveUpload(uploads, id, bytes)
  stream.end(sent)
  return text(stream)
}

test('what is fetched is whole, and what was asked for by its sum', async () => {
  const sha256 = createHash('sha256').update(content).digest('hex')
  await bring({ kind: 'url', url: `${base}/image`, sha256 })
  assert.deepEqual(await readFile(join(folder, 'brought')), content)
  const other = { kind: 'url', url: `${base}/image`, sha256: 'a'.repeat(64) } as const
  await assert.rejects(bring(other), /its SHA-256 is [0-9a-f]{64}, and not what was asked for/)
})

test('what can’t be fetched says why, and a fetch that is called off ends', async () => {
  await assert.rejects(bring({ kind: 'url', url: `${base}/nothing` }), /the server answered 404/)
  await assert.rejects(bring({ kind: 'url', url: `${base}/cut` }), /could not be fetched/)
  await assert.rejects(bring({ kind: 'url', url: 'http://127.0.0.1:1/' }), /could not be fetched/)
  await assert.rejects(bring({ kind: 'url', url: `${base}/image` }, AbortSignal.abort()), { code: 'cancelled' })
})

test('an upload is there when all of it came, is used once, and is refused otherwise', async () => {
  await rm(join(folder, 'brought'), { force: true })
  const id = 'a'.repeat(16)
  assert.equal(await upload(id, content.length, content), 'ok\n')
  await bring({ kind: 'upload', upload: id })
  assert.deepEqual(await readFile(join(folder, 'brought')), content)
  assert.match(await upload(id, content.length + 1, content), /only 200000 of 200001 bytes/)
  assert.match(await upload(id, 10, content), /more than the announced 10 bytes/)
  assert.deepEqual(await readdir(uploads), [])
  await rm(join(folder, 'brought'))
  await assert.rejects(bring({ kind: 'upload', upload: id }), /upload the file again/)
})

test('what would leave the controller without room is refused before a byte comes', async () => {
  await assert.rejects(receiveUpload(uploads, 'b'.repeat(16), 2 ** 50), { code: 'storage-failed' })
})

test('what is half there, or a day old, is cleared away', async () => {
  const id = 'c'.repeat(16)
  await upload(id, 4, Buffer.from('disk'))
  await clearUploads(uploads, Date.now())
  assert.deepEqual(await readdir(uploads), [id])
  await clearUploads(uploads, Date.now() + 25 * 3_600_000)
  assert.deepEqual(await readdir(uploads), [])
})
