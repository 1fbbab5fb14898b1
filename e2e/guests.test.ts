/** Machines that boot by firmware from a disc, and what machines are told about themselves. Needs root, ovmf, swtpm, xorriso, mtools, ipxe. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { bringImage } from '../src/cli/image-source.ts'
import { openScreen } from '../src/cli/screen.ts'
import { runCommand } from '../src/linux/run-command.ts'
import { metadataAddress } from '../src/model/cloud-init.ts'
import { DialtoneError, type ErrorCode } from '../src/model/dialtone-error.ts'
import { consoleLogOf } from './console-log.ts'
import { openConsole } from './open-console.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'

const key = `ssh-ed25519 ${'A'.repeat(68)} somebody@somewhere`
const userData = '#cloud-config\nwrite_files: [{path: /told, content: a secret of one}]\n'
const deadlineMs = 90_000
let laboratory: OpenLaboratory
let scratch = ''

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'dialtone-guests-'))
  laboratory = await openLaboratory('e2e-guests', ['--hosts', '2'])
  const { api } = laboratory
  await importIso('bios', '/usr/lib/ipxe/ipxe.iso')
  await importIso('uefi', await makeUefiDisc())
  const fromDisc = { memoryMiB: 192, rootDiskMiB: 64 }
  // All at once: they boot while the other tests go on.
  await api.call('createVm', { body: { name: 'old', isos: ['bios'], guest: { os: 'linux' }, ...fromDisc } })
  await api.call('createVm', {
    body: { name: 'new', isos: ['uefi'], guest: { os: 'linux', firmware: 'uefi' }, ...fromDisc },
  })
  const trusted = { os: 'linux', firmware: 'uefi', tpm: true, display: true } as const
  await api.call('createVm', { body: { name: 'trusted', isos: ['uefi'], guest: trusted, ...fromDisc } })
  await api.call('createNetwork', { body: { name: 'told', subnet: '10.60.0.0/24', uplink: 'nat' } })
  const inNetwork = (
    name: string,
    cloudInit: { userData: string | null; sshKeys: string[]; networkConfig: null } | null,
  ) => api.call('createVm', { body: { name, template: 'tiny', networks: [{ network: 'told' }], cloudInit } })
  await inNetwork('one', { userData, sshKeys: [key], networkConfig: null })
  await inNetwork('two', null)
})
after(async () => {
  await laboratory?.[Symbol.asyncDispose]()
  await rm(scratch, { recursive: true, force: true })
})

test('a recipe that is built already is entered over the API', async () => {
  const { task } = await laboratory.api.call('buildTemplate', { body: { recipe: 'tiny' } })
  await laboratory.untilTaskEnds(task.id)
})

test('a machine boots from a disc by BIOS, and is heard on its serial console', async () => {
  await untilHeard('old', /Booting from DVD\/CD.*iPXE 1\.[0-9]+/s)
})

test('a machine asks its network who it is and is told so, and nobody is told of another one', async () => {
  await using one = await openConsole(laboratory, 'one')
  const ask = (path: string) => `printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' | /bin/busybox nc -w 5 ${metadataAddress} 80`
  assert.match(await one.run(ask('/latest/meta-data/local-hostname')), /\r?\none(?:\r?\n|done)/)
  assert.match(await one.run(ask('/latest/meta-data/public-keys/0/openssh-key')), /ssh-ed25519 A+ somebody@somewhere/)
  assert.match(await one.run(ask('/latest/user-data')), /a secret of one/)
  await using two = await openConsole(laboratory, 'two')
  assert.match(await two.run(ask('/latest/meta-data/local-hostname')), /\r?\ntwo(?:\r?\n|done)/)
  const answer = await two.run(ask('/latest/user-data'))
  assert.match(answer, /404/)
  assert.doesNotMatch(answer, /secret/)
})

test('what a machine is told is in no list, no task, no event and no dump', async () => {
  const { api } = laboratory
  const shown = JSON.stringify([
    await api.call('listVms', {}),
    await api.call('getVm', { params: { vm: 'one' } }),
    await api.call('listTasks', {}),
    await api.call('listEvents', {}),
    await api.call('dumpCluster', {}),
  ]) // prettier-ignore
  assert.match(shown, /"cloudInit":\{"hasUserData":true,"sshKeys":1,"hasNetworkConfig":false\}/)
  assert.doesNotMatch(shown, /a secret of one/)
})

test('a disc that is in a drive is not deleted; it is taken out and put in while the machine runs', async () => {
  const { api } = laboratory
  await assert.rejects(api.call('deleteIso', { params: { iso: 'bios' } }), failsWith('in-use', /in a drive of old/))
  const change = (iso: string | null) =>
    api.call('changeDrive', { params: { vm: 'old', drive: '0' }, body: { iso, force: true } })
  assert.deepEqual((await change(null)).cdroms, [null])
  assert.deepEqual((await change('uefi')).cdroms.length, 1)
  const isos = (await api.call('listIsos', {})).isos
  assert.deepEqual(isos.find(({ name }) => name === 'bios')?.vmNames, [])
})

test('what is no disc and no disk, or leads elsewhere, is not taken, and nothing of it is left', async () => {
  const { api } = laboratory
  const text = await inScratch('text', 'hello\n'.repeat(10_000))
  await assert.rejects(importIso('text', text), /neither ISO 9660 nor UDF/)
  await assert.rejects(importTemplate('text', text), /neither qcow2 nor a raw disk/)
  const secret = await inScratch('secret', 'x'.repeat(65_536))
  const overlay = join(scratch, 'overlay.qcow2')
  await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', secret, overlay], {
    timeoutMs: 10_000,
  })
  await assert.rejects(importTemplate('overlay', overlay), /lies on another file/)
  const outside = join(scratch, 'outside.qcow2')
  const options = ['-o', `data_file=${join(scratch, 'data')},data_file_raw=on`]
  await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', ...options, outside, '1M'], { timeoutMs: 10_000 })
  await assert.rejects(importTemplate('outside', outside), /keeps its data in another file/)
  const { isos } = await api.call('listIsos', {})
  assert.deepEqual(isos.map(({ name }) => name).sort(), ['bios', 'uefi'])
  const left = await readdir(join(laboratory.folder, 'controller', 'uploads'))
  assert.deepEqual(left, [])
  const templates = await readdir(join(laboratory.folder, '..', '..', 'templates'))
  assert.deepEqual(
    templates.filter((name) => /^(?:\.import-)?(?:text|overlay|outside)-/.test(name)),
    [],
  )
})

test('a machine boots from a disc by UEFI, and moves with its firmware’s variables', async () => {
  const { api, untilTaskEnds, untilOn } = laboratory
  await untilHeard('new', /iPXE 1\.[0-9]+/)
  const before = await api.call('getVm', { params: { vm: 'new' } })
  const other = before.hostName === 'h1' ? 'h2' : 'h1'
  const { task } = await api.call('migrateVm', { params: { vm: 'new' }, body: { host: other } })
  await untilTaskEnds(task.id)
  await untilOn('new', other)
  // The firmware wrote down how it booted.
  const [root] = before.disks
  const variables = join(laboratory.folder, 'shared', 'volumes', root?.volumeId ?? '', 'firmware-variables.fd')
  const written = await readFile(variables)
  assert(written.includes(Buffer.from('UEFI QEMU DVD-ROM', 'utf16le')), 'a boot entry of the disc')
  assert.equal((await stat(variables)).uid, 200_000 + before.number)
})

test('a machine with a TPM keeps it beside its disk, does not move, and has no picture of its memory taken', async () => {
  const { api } = laboratory
  await untilHeard('trusted', /iPXE 1\.[0-9]+/)
  const { disks, hostName } = await api.call('getVm', { params: { vm: 'trusted' } })
  const state = join(laboratory.folder, 'shared', 'volumes', disks[0]?.volumeId ?? '', 'tpm', 'tpm2-00.permall')
  assert((await stat(state)).size > 1_000)
  const to = hostName === 'h1' ? 'h2' : 'h1'
  await assert.rejects(
    api.call('migrateVm', { params: { vm: 'trusted' }, body: { host: to } }),
    failsWith('wrong-state', /TPM/),
  )
  const recovery = { mode: 'warm' } as const
  const probe = { check: { kind: 'tcp', port: 22 } } as const
  const change = api.call('changeVm', { params: { vm: 'trusted' }, body: { recovery, probe } })
  await assert.rejects(change, failsWith('image-unfit', /TPM/))
  await snapshotWithState(state)
  await api.call('stopVm', { params: { vm: 'trusted' }, body: { timeoutSeconds: 1 } }).catch(() => undefined)
  const { task } = await api.call('deleteVm', { params: { vm: 'trusted' }, query: { force: 'true' } })
  await laboratory.untilTaskEnds(task.id)
  assert.equal(await stat(state).catch(() => 'gone'), 'gone')
})

/** A snapshot of the machine's disks while it runs has what its TPM remembers; a return brings that back, and the TPM takes it. */
async function snapshotWithState(state: string): Promise<void> {
  const { api, untilTaskEnds } = laboratory
  const params = { vm: 'trusted' }
  const { uid } = await stat(state)
  await untilTaskEnds((await api.call('createSnapshot', { params, body: { name: 'sealed' } })).task.id)
  const snapshot = await api.call('getSnapshot', { params: { ...params, snapshot: 'sealed' } })
  assert.deepEqual([snapshot.kind, snapshot.wasRunning], ['disk', true])
  assert.equal((await api.call('getVm', { params })).status.state, 'running')
  await untilTaskEnds((await api.call('killVm', { params })).task.id)
  await writeFile(state, 'lost')
  await untilTaskEnds((await api.call('revertVm', { params, body: { snapshot: 'sealed' } })).task.id)
  const restored = await stat(state)
  assert(restored.size > 1_000)
  assert.equal(restored.uid, uid)
  await untilTaskEnds((await api.call('startVm', { params })).task.id)
}

/** All that its serial console has said, on whichever host it is. */
async function untilHeard(vm: string, pattern: RegExp): Promise<void> {
  const { id } = await laboratory.api.call('getVm', { params: { vm } })
  const givesUpAtMs = performance.now() + deadlineMs
  let heard = ''
  while (!pattern.test(heard)) {
    assert(performance.now() < givesUpAtMs, `${vm} says ${pattern}, but said: ${heard.slice(-1000)}`)
    await delay(200)
    heard = await consoleLogOf(laboratory, id)
  }
}

const quietScreen = () => openScreen(true, { stdout: process.stdout, stderr: process.stderr, environment: {} })

async function importIso(name: string, path: string): Promise<void> {
  const { api, untilTaskEnds } = laboratory
  const source = await bringImage({ api, screen: quietScreen() }, path, {})
  const { task } = await api.call('importIso', { body: { name, source } })
  await untilTaskEnds(task.id)
}

async function importTemplate(name: string, path: string, version?: string): Promise<void> {
  const { api, untilTaskEnds } = laboratory
  const source = await bringImage({ api, screen: quietScreen() }, path, {})
  const { task } = await api.call('importTemplate', { body: { name, source, version } })
  await untilTaskEnds(task.id)
}

test('a disk that boots by itself becomes a template, whose machines have a disk as large as was asked for', async () => {
  const { api, untilTaskEnds } = laboratory
  const disk = Buffer.alloc(2 ** 20)
  disk.writeUInt16LE(0xaa55, 510)
  const path = join(scratch, 'disk.raw')
  await writeFile(path, disk)
  const version = `e2e-${process.pid}`
  await importTemplate('sector', path, version)
  const body = { name: 'sector', template: 'sector', rootDiskMiB: 10, start: false }
  const { vm, task } = await api.call('createVm', { body })
  await untilTaskEnds(task.id)
  assert.deepEqual([vm.guest.boot, vm.disks[0]?.sizeMiB, vm.templateVersion], ['bios', 10, `sector-${version}`])
  await assert.rejects(importTemplate('sector', path, version), failsWith('name-taken', /give it another --version/))
  // The folder of templates is shared by all laboratories.
  await rm(join(laboratory.folder, '..', '..', 'templates', vm.templateVersion), { recursive: true })
})

async function inScratch(name: string, content: string): Promise<string> {
  const path = join(scratch, name)
  await writeFile(path, content)
  return path
}

/** iPXE as a program of UEFI, on a disc. */
async function makeUefiDisc(): Promise<string> {
  const folder = join(scratch, 'disc')
  const partition = join(folder, 'efi.img')
  const run = (program: string, args: readonly string[]) => runCommand(program, args, { timeoutMs: 20_000 })
  await mkdir(folder)
  await writeFile(partition, '')
  await truncate(partition, 2_880 * 1024)
  await run('mkfs.vfat', [partition])
  await run('mmd', ['-i', partition, '::/EFI', '::/EFI/BOOT'])
  await run('mcopy', ['-i', partition, '/boot/ipxe.efi', '::/EFI/BOOT/BOOTX64.EFI'])
  const disc = join(scratch, 'uefi.iso')
  await run('xorriso', ['-as', 'mkisofs', '-quiet', '-V', 'IPXE', '-e', 'efi.img', '-no-emul-boot', '-o', disc, folder])
  return disc
}

function failsWith(code: ErrorCode, words: RegExp) {
  return (error: unknown) => error instanceof DialtoneError && error.code === code && words.test(error.message)
}
