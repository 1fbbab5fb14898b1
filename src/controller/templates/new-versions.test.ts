/** Folders of new versions, with real files; what is brought is a disk that qemu-img made. */
import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { runCommand } from '../../linux/run-command.ts'
import { makeVm, someTime } from '../../model/cluster-state.fixture.ts'
import { templateManifestSchema } from '../../model/template-manifest.ts'
import { hashOf } from '../images/hash-of.ts'
import { createNewVersions, type NewVersion } from './new-versions.ts'

const { spec } = makeVm('web')

async function open(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'dialtone-versions-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const [templates, base, disk] = [join(folder, 'templates'), join(folder, 'templates/tiny-1'), join(folder, 'disk')]
  await mkdir(base, { recursive: true })
  for (const name of ['vmlinux', 'initrd.img', 'root.qcow2']) await writeFile(join(base, name), name)
  const sum = { bytes: 1, sha256: '0'.repeat(64) }
  const paper = {
    ...{ formatVersion: 1, name: 'tiny', version: 'tiny-1', description: '', builtAt: someTime },
    files: { vmlinux: sum, 'initrd.img': sum, 'root.qcow2': sum },
    ...{ kernelVersion: '6.1', commandLine: 'quiet', commandLineTcg: 'quiet lpj=1' },
    ...{ minimumMemoryMiB: 64, defaultMemoryMiB: 128, defaultCpus: 1, ports: [80] },
    ...{ guestAgent: true, residentAgent: true, readiness: null, reseedsOnResume: true },
  }
  await writeFile(join(base, 'manifest.json'), JSON.stringify(paper))
  const machine = { name: 'web', cpus: 1, memoryMiB: 256, hardware: spec.hardware, templateVersion: 'tiny-1' }
  const version: NewVersion = {
    vm: spec,
    parameters: { name: 'shop', version: 'shop-1', note: '' },
    instant: { takenAt: someTime, consistency: 'guest-frozen', snapshotName: null, machine },
    ...{ baseDirectory: base, builtAt: someTime, signal: AbortSignal.timeout(60_000), onProgress: () => undefined },
    open: async () => ({ size: (await stat(disk)).size, stream: createReadStream(disk) }),
  }
  const create = (...more: readonly string[]) =>
    runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', ...more, disk, '8M'], { timeoutMs: 30_000 })
  return { templates, version, disk, create, base, versions: createNewVersions(templates) }
}

test('a version has its disk, the kernel of its machine’s template, and a paper that fits both', async (t) => {
  const { templates, version, create, disk, versions } = await open(t)
  await create()
  await versions.add(version)
  await versions.add(version)
  const folder = join(templates, 'shop-1')
  const paper = templateManifestSchema.parse(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')))
  assert.deepEqual(paper.files['root.qcow2'], await hashOf(disk))
  for (const [name, file] of Object.entries(paper.files)) assert.deepEqual(await hashOf(join(folder, name)), file)
  assert.deepEqual([paper.name, paper.version, paper.commandLineTcg], ['shop', 'shop-1', 'quiet lpj=1'])
  assert.deepEqual((await readdir(templates)).toSorted(), ['shop-1', 'tiny-1'])
  await versions.remove('shop-1')
  await versions.remove('shop-1')
  assert.deepEqual(await readdir(templates), ['tiny-1'])
})

test('a disk that comes cut, or that lies on another file, makes no version, and the next attempt may succeed', async (t) => {
  const { templates, version, create, base, disk, versions } = await open(t)
  await create()
  const cut = async () => ({ size: (await stat(disk)).size, stream: createReadStream(disk, { end: 1000 }) })
  await assert.rejects(versions.add({ ...version, open: cut }), { code: 'image-corrupt' })
  await rm(disk)
  await create('-u', '-b', join(base, 'root.qcow2'), '-F', 'raw')
  await assert.rejects(versions.add(version), { code: 'image-corrupt', message: /lies on another file/ })
  assert.equal((await readdir(templates)).includes('shop-1'), false)
  await rm(disk)
  await create()
  await versions.add(version)
  assert.deepEqual((await readdir(templates)).toSorted(), ['shop-1', 'tiny-1'])
})
