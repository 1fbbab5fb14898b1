import assert from 'node:assert/strict'
import { mkdtemp, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCommand } from '../../src/linux/run-command.ts'
import { type ArchiveEntry, cpioArchive } from './cpio-archive.ts'

const program: ArchiveEntry = { kind: 'file', path: 'sbin/run', content: Buffer.from('echo'), isExecutable: true }
const link: ArchiveEntry = { kind: 'link', path: 'bin/sh', target: 'busybox' }

test('the same entries in another order give the same bytes', () => {
  assert.deepEqual(cpioArchive([program, link]), cpioArchive([link, program]))
})

test('cpio unpacks what was put in, with parents, rights and links', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'cpio-'))
  try {
    await writeFile(join(directory, 'archive'), cpioArchive([program, link]))
    await runCommand('/bin/sh', ['-c', 'cd "$0" && cpio -idm --quiet < archive', directory], { timeoutMs: 10_000 })
    assert.equal(await readFile(join(directory, 'sbin/run'), 'utf8'), 'echo')
    assert.equal((await stat(join(directory, 'sbin/run'))).mode & 0o777, 0o755)
    assert.equal(await readlink(join(directory, 'bin/sh')), 'busybox')
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('files of any length keep the following entries aligned', () => {
  for (const length of [0, 1, 2, 3, 4, 5]) {
    const archive = cpioArchive([{ ...program, path: 'a', content: Buffer.alloc(length) }, link])
    assert.equal(archive.indexOf('070701', 6) % 4, 0)
    assert.equal(archive.length % 4, 0)
  }
})
