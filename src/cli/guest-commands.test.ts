/** The commands of guests, discs and imports, as processes, against the real routes over HTTP. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openTerminal } from './stand-in/open-terminal.fixture.ts'

const terminal = openTerminal()
const { dialtone } = terminal
const changes = () => terminal.standIn.situation.changes
let folder = ''

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dialtone-guests-'))
})
after(() => rm(folder, { recursive: true, force: true }))

test('discs are a table, with where they are; one is deleted only on a word', async () => {
  assert.match(
    (await dialtone('iso list')).out,
    /^NAME +SIZE +IMPORTED +IN +SHA-256\ninstaller +2 MiB .* web +a{64}\n$/,
  )
  assert.equal((await dialtone('iso delete installer')).code, 1)
  assert.equal((await dialtone('iso delete installer --yes')).out, 'installer is deleted.\n')
  assert.equal(changes().at(-1), 'delete disc installer')
})

test('a file is uploaded to the last byte before it is imported, an address is only named', async () => {
  const path = join(folder, 'image')
  await writeFile(path, Buffer.alloc(3_000_000, 'x'))
  const uploaded = await dialtone(`iso import ${path} --name one`)
  assert.equal(uploaded.code, 0, uploaded.err)
  assert.deepEqual(changes().slice(-2), ['upload of 3000000 bytes', 'import of the disc one by upload'])
  const named = await dialtone('template import https://example.org/disk.qcow2 --name cloud --version 12 --os linux')
  assert.equal(named.code, 0, named.err)
  assert.equal(changes().at(-1), 'import of the template cloud by url')
})

test('a disc goes into a drive and comes out', async () => {
  assert.equal((await dialtone('vm cdrom insert web installer')).out, 'Drive 0 of web has installer in it.\n')
  assert.equal((await dialtone('vm cdrom eject web --drive 1')).out, 'Drive 1 of web is empty.\n')
  assert.equal(changes().at(-1), 'drive 1 of web: nothing')
})

test('what makes no sense is said before anything is done', async () => {
  const binary = join(folder, 'binary')
  await writeFile(binary, Buffer.from([0xff, 0xfe, 0x00]))
  const done = changes().length
  for (const [words, code, sentence] of [
    [`iso import ${join(folder, 'missing')} --name x`, 2, /is no file with anything in it/],
    [`template import ${folder} --name x`, 2, /is no file with anything in it/],
    [`iso import ${binary} --name x --sha256 ${'a'.repeat(64)}`, 2, /fetched from an address/],
    ['vm create x --template tiny --firmware efi', 2, /bios, uefi/],
    ['vm create x --from-memory', 2, /needs a --template/],
    ['vm create x --template tiny --from-memory --firmware uefi', 2, /--firmware and --from-memory do not go together/],
    [`vm create x --template tiny --user-data ${binary}`, 2, /no text in UTF-8/],
    [`vm create x --template tiny --user-data ${join(folder, 'missing')}`, 2, /can't be read/],
    ['vm cdrom insert web installer --drive 2', 2, /one of 0, 1/],
  ] as const) {
    const ending = await dialtone(words)
    assert.equal(ending.code, code, words)
    assert.match(ending.err, sentence)
  }
  assert.equal(changes().length, done)
})

test('an address with a password in it is refused: it would be shown', async () => {
  const ending = await dialtone('iso import https://me:secret@example.org/disc.iso --name x')
  assert.equal(ending.code, 1)
  assert.match(ending.err, /must have no user and password in it/)
})

test('user-data of any other kind is refused by the server with the field that is wrong', async () => {
  const large = join(folder, 'large')
  await writeFile(large, 'x'.repeat(16_385))
  const ending = await dialtone(`vm create x --template tiny --user-data ${large}`)
  assert.equal(ending.code, 1)
  assert.match(ending.err, /userData.*must have at most 16 KiB/)
})
