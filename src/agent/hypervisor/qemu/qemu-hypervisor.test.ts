import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { findCgroupMount, isCgroupEmpty, killCgroupAndWait, makeCgroup, removeCgroup } from '../../../linux/cgroup.ts'
import { runCommand } from '../../../linux/run-command.ts'
import { diskMirrorContract } from '../disk-mirror.contract.ts'
import { growthContract } from '../growth.contract.ts'
import { type HypervisorFixture, hypervisorContract } from '../hypervisor.contract.ts'
import type { MachineDefinition, MemoryImageFiles } from '../hypervisor.ts'
import { memoryImageContract } from '../memory-image.contract.ts'
import { movingMachineContract } from '../moving-machine.contract.ts'
import { sampleDefinition } from '../sample-definition.ts'
import { echoGuest } from './echo-guest.ts'
import { createQemuHypervisor } from './qemu-hypervisor.ts'
import { runFiles } from './run-files.ts'

const userId = 61_007
let fixtures = 0

async function makeFixture(): Promise<HypervisorFixture> {
  fixtures += 1
  const prefix = `dtt${process.pid}f${fixtures}`
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-qemu-'))
  // Layers are opened by the machine's own user while it runs.
  await chmod(directory, 0o755)
  const cgroup = join((await findCgroupMount()) ?? '', prefix)
  const kernel = { vmlinux: join(directory, 'echo-guest'), initrd: join(directory, 'initrd'), commandLine: '' }
  await writeFile(kernel.vmlinux, echoGuest)
  await writeFile(kernel.initrd, 'empty')
  const definitions: MachineDefinition[] = []
  let places = 0
  let files = 0
  const hypervisor = () => createQemuHypervisor({ cacheDirectory: directory })

  const place = async (number: number) => {
    const runDirectory = join(directory, `${number}`)
    const cgroupDirectory = join(cgroup, `${number}`)
    const tapName = `${prefix}t${number}`
    await mkdir(runDirectory, { mode: 0o700 })
    await makeCgroup(cgroupDirectory)
    await runCommand('ip', ['tuntap', 'add', tapName, 'mode', 'tap'], { timeoutMs: 5000 })
    return { runDirectory, cgroupDirectory, tapName }
  }
  const emptyDisk = async (): Promise<string> => {
    const disk = newPath('disk.qcow2')
    await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', disk, '16M'], { timeoutMs: 5000 })
    await chown(disk, userId, userId)
    return disk
  }
  const definition = async (): Promise<MachineDefinition> => {
    const number = (places += 1)
    const disk = await emptyDisk()
    const disks = [{ volumeId: 'vol-root2345', path: disk, format: 'qcow2' as const }]
    const made = sampleDefinition({ ...(await place(number)), disks, kernel, userId, memoryMiB: 16 })
    definitions.push(made)
    return made
  }
  const sibling: HypervisorFixture['sibling'] = async (original, disks) => {
    const made = { ...original, ...(await place((places += 1))), disks, generationId: randomUUID() }
    definitions.push(made)
    return made
  }
  const overlayOn = async (path: string): Promise<string> => {
    const overlay = newPath('overlay.qcow2')
    await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', path, overlay], {
      timeoutMs: 5000,
    })
    await chown(overlay, userId, userId)
    return overlay
  }
  const newPath = (name: string): string => join(directory, `${(files += 1)}-${name}`)
  const newDisc = async (): Promise<string> => {
    const path = newPath('disc.iso')
    await writeFile(path, Buffer.alloc(65_536), { mode: 0o644 })
    return path
  }
  const brokenImage = async (): Promise<MemoryImageFiles> => {
    const image = { memory: newPath('memory'), state: newPath('state') }
    await writeFile(image.memory, '')
    await truncate(image.memory, 16 * 1024 * 1024 + 8192)
    await writeFile(image.state, 'this is no image')
    return image
  }
  const brokenDefinitions = async (): Promise<ReadonlyMap<string, MachineDefinition>> => {
    const corrupt = join(directory, 'corrupt.qcow2')
    await writeFile(corrupt, 'this is no disk')
    const withDisk = async (path: string): Promise<MachineDefinition> => ({
      ...(await definition()),
      disks: [{ volumeId: 'vol-root2345', path, format: 'qcow2' }],
    })
    return new Map([
      ['no such disk', await withDisk(join(directory, 'absent.qcow2'))],
      ['corrupt disk', await withDisk(corrupt)],
      ['no such tap', { ...(await definition()), tapName: `${prefix}none` }],
      ['no such cgroup', { ...(await definition()), cgroupDirectory: join(cgroup, 'absent') }],
    ])
  }
  const dispose = async (): Promise<void> => {
    await killCgroupAndWait(cgroup, 5000)
    await removeCgroup(cgroup)
    for (const { tapName } of definitions) {
      await runCommand('ip', ['link', 'delete', tapName], { timeoutMs: 5000 })
    }
    await rm(directory, { recursive: true })
  }

  return {
    hypervisor: hypervisor(),
    nextAgent: hypervisor,
    definition,
    sibling,
    overlayOn,
    newPath,
    newDisc,
    emptyDisk,
    fillDisk: async (path, behindMiB = 1) =>
      void (await runCommand('qemu-io', ['-c', `write -P 0x5a ${behindMiB}M 3M`, path], { timeoutMs: 5000 })),
    isSameDisk: (one, other) =>
      runCommand('qemu-img', ['compare', one, other], { timeoutMs: 5000 }).then(
        () => true,
        () => false,
      ),
    brokenImage,
    killFromOutside: (machine) => {
      process.kill(machine.pid, 'SIGKILL')
    },
    brokenDefinitions,
    isNothingLeft: ({ cgroupDirectory }) => isCgroupEmpty(cgroupDirectory),
    dispose,
  }
}

hypervisorContract('qemu', makeFixture)
memoryImageContract('qemu', makeFixture)
movingMachineContract('qemu', makeFixture)
diskMirrorContract('qemu', makeFixture)
growthContract('qemu', makeFixture)

test("QEMU runs as the machine's user, without capabilities, under seccomp, and inside the cgroup only", async () => {
  const fixture = await makeFixture()
  try {
    const definition = await fixture.definition()
    const machine = await fixture.hypervisor.start(definition)
    const status = await readFile(`/proc/${machine.pid}/status`, 'utf8')
    assert.match(status, new RegExp(`^Uid:\\t${userId}\\t${userId}\\t${userId}\\t${userId}$`, 'm'))
    assert.match(status, new RegExp(`^Groups:\\t${userId} $`, 'm'))
    assert.match(status, /^CapEff:\t0+$/m)
    assert.match(status, /^NoNewPrivs:\t1$/m)
    assert.match(status, /^Seccomp:\t2$/m)
    const members = await readFile(join(definition.cgroupDirectory, 'cgroup.procs'), 'utf8')
    assert.equal(members.trim(), `${machine.pid}`)
    await machine.kill(5000)
  } finally {
    await fixture.dispose()
  }
})

test('what a start that broke off left in the cgroup is killed by adoption, and a reused pid is not taken for the machine', async () => {
  const fixture = await makeFixture()
  try {
    const definition = await fixture.definition()
    const { runDirectory, cgroupDirectory } = definition
    const machine = await fixture.hypervisor.start(definition)
    const record = JSON.parse(await readFile(runFiles(runDirectory).record, 'utf8'))
    await writeFile(
      runFiles(runDirectory).record,
      JSON.stringify({ ...record, process: { ...record.process, startTicks: '1' } }),
    )
    assert.equal(await fixture.nextAgent().adopt(runDirectory, cgroupDirectory), undefined)
    assert.equal(await isCgroupEmpty(cgroupDirectory), true)
    assert.equal((await machine.exited).reason, 'crashed')
  } finally {
    await fixture.dispose()
  }
})

test('a machine that does not answer is adopted all the same: it can be killed and its end is seen', async () => {
  const fixture = await makeFixture()
  try {
    const definition = await fixture.definition()
    const machine = await fixture.hypervisor.start(definition)
    machine.detach()
    process.kill(machine.pid, 'SIGSTOP')
    const adopted = await fixture.nextAgent().adopt(definition.runDirectory, definition.cgroupDirectory)
    assert.equal(adopted?.pid, machine.pid)
    await adopted?.kill(5000)
    assert.equal((await adopted?.exited)?.reason, 'killed')
  } finally {
    await fixture.dispose()
  }
})

test('a console whose reader does not read never stops the guest, and is cut off', async () => {
  const fixture = await makeFixture()
  try {
    const definition = await fixture.definition()
    const machine = await fixture.hypervisor.start(definition)
    const console = await machine.openConsole()
    await machine.resume()
    const typing = setInterval(() => console.write('x'.repeat(200)), 20)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    clearInterval(typing)
    const { size } = await stat(runFiles(definition.runDirectory).consoleLog)
    assert.ok(size > 2000, `the guest wrote ${size} bytes while nobody read`)
    assert.equal(await machine.state(), 'running')
    await machine.kill(5000)
  } finally {
    await fixture.dispose()
  }
})

test('a stream that finds no room leaves the machine running on its overlay, and the next capture succeeds', async () => {
  const fixture = await makeFixture()
  const small = fixture.newPath('small')
  try {
    const definition = await fixture.definition()
    const machine = await fixture.hypervisor.start(definition)
    await machine.resume()
    await mkdir(small)
    await runCommand('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'none', small], { timeoutMs: 5000 })
    let written = definition.disks[0]?.path ?? ''
    for (const streamPath of [join(small, 'stream'), fixture.newPath('stream')]) {
      const overlay = await fixture.overlayOn(written)
      const capture = await machine.capture({ overlays: [{ volumeId: 'vol-root2345', path: overlay }], streamPath })
      if (streamPath.startsWith(small)) await assert.rejects(capture.written, /No space left/)
      else await capture.written
      assert.deepEqual([await machine.state(), (await machine.diskPaths()).get('vol-root2345')], ['running', overlay])
      written = overlay
    }
    await machine.kill(5000)
  } finally {
    await runCommand('umount', ['-l', small], { timeoutMs: 5000 })
    await fixture.dispose()
  }
})

test('an image that nobody could finish leaves neither of its files', async () => {
  const fixture = await makeFixture()
  try {
    const broken = await fixture.brokenImage()
    const into = { memory: fixture.newPath('memory'), state: fixture.newPath('state') }
    await assert.rejects(
      fixture.hypervisor.bake(await fixture.definition(), broken.state, into),
      /Not a migration stream/,
    )
    await assert.rejects(stat(into.memory), { code: 'ENOENT' })
    await assert.rejects(stat(into.state), { code: 'ENOENT' })
  } finally {
    await fixture.dispose()
  }
})
