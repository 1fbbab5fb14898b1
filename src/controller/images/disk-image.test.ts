import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runCommand } from '../../linux/run-command.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { convertDisk, inspectDisk } from './disk-image.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dialtone-disk-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const make = async (name: string, ...args: readonly string[]) => {
  const path = join(folder, name)
  await runCommand('qemu-img', ['create', '-q', ...args.map((arg) => (arg === 'PATH' ? path : arg))], {
    timeoutMs: 20_000,
  })
  return path
}
const write = async (name: string, content: Buffer | string) => {
  await writeFile(join(folder, name), content)
  return join(folder, name)
}
const refusal = async (path: string) => {
  const error: unknown = await inspectDisk(path, 'it').then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert(error instanceof DialtoneError && error.code === 'invalid-input', `${path}: ${String(error)}`)
  return error.message
}
const bootSector = Buffer.alloc(1024)
bootSector.writeUInt16LE(0xaa55, 510)

test('a disk that stands alone is taken, and what is kept has the same content', async () => {
  const path = await make('good.qcow2', '-f', 'qcow2', 'PATH', '10M')
  assert.deepEqual(await inspectDisk(path, 'it'), { format: 'qcow2', virtualMiB: 10 })
  const raw = await write('good.raw', bootSector)
  assert.deepEqual(await inspectDisk(raw, 'it'), { format: 'raw', virtualMiB: 1 })
  const kept = join(folder, 'kept.qcow2')
  await convertDisk({ path: raw, format: 'raw' }, kept, new AbortController().signal)
  await runCommand('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', raw, kept], { timeoutMs: 20_000 })
})

test('what names another file is refused before anything opens that file', async () => {
  const secret = await write('secret', Buffer.alloc(65_536))
  const overlay = await make('overlay.qcow2', '-f', 'qcow2', '-F', 'raw', '-b', secret, 'PATH')
  const outside = await make('outside.qcow2', '-f', 'qcow2', '-o', `data_file=${join(folder, 'data')}`, 'PATH', '1M')
  const { atimeMs } = await stat(secret)
  assert.match(await refusal(overlay), /lies on another file .*flatten it first/)
  assert.match(await refusal(outside), /keeps its data in another file/)
  assert.equal((await stat(secret)).atimeMs, atimeMs)
})

test('what is of another format, packed, damaged or nothing is refused with what to do', async () => {
  assert.match(await refusal(await make('a.vmdk', '-f', 'vmdk', 'PATH', '1M')), /vmdk: convert it first/)
  assert.match(await refusal(await make('a.vhdx', '-f', 'vhdx', 'PATH', '8M')), /vhdx: convert it first/)
  assert.match(
    await refusal(await write('a.xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]))),
    /packed \(xz\): unpack/,
  )
  assert.match(await refusal(await write('text', 'hello')), /neither qcow2 nor a raw disk/)
  assert.match(await refusal(await write('zeros', Buffer.alloc(4096))), /boot sector/)
  assert.match(await refusal(await write('odd', bootSector.subarray(0, 700))), /whole sectors/)
  assert.match(await refusal(await write('empty', '')), /neither qcow2/)
  const good = await readFile(await make('whole.qcow2', '-f', 'qcow2', 'PATH', '10M'))
  assert.match(await refusal(await write('cut.qcow2', good.subarray(0, 70_000))), /truncated|qemu-img can't read it/)
  const encrypted = Buffer.from(good)
  encrypted.writeUInt32BE(1, 32)
  assert.match(await refusal(await write('crypt.qcow2', encrypted)), /encrypted|can't read it/)
})
