import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readHypervisorFacts } from './hypervisor-facts.ts'

test('the accelerator is probed once for a version of QEMU, and again for the next one', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-facts-'))
  t.after(() => rm(directory, { recursive: true }))
  const qemu = join(directory, 'qemu')
  const probes = join(directory, 'probes')
  await writeFile(probes, '')
  const script = (version: string) =>
    `#!/bin/sh\n[ "$1" = --version ] && exec echo "QEMU emulator version ${version} (test)"\n[ "$2" = kvm ] && echo probe >> ${probes}\nexit 1\n`
  await writeFile(qemu, script('9.2.1'), { mode: 0o755 })
  await appendFile(join(directory, 'accelerator.json'), 'not what it should be')

  const first = await readHypervisorFacts(qemu, directory)
  assert.deepEqual([first.version, first.machineType, first.accelerator], ['9.2.1', 'pc-q35-9.2', 'tcg'])
  const probesOfFirst = await readFile(probes, 'utf8')
  assert.deepEqual(await readHypervisorFacts(qemu, directory), first)
  assert.equal(await readFile(probes, 'utf8'), probesOfFirst)

  await writeFile(qemu, script('10.0.0'))
  assert.equal((await readHypervisorFacts(qemu, directory)).machineType, 'pc-q35-10.0')
  assert.equal(await readFile(probes, 'utf8'), probesOfFirst.repeat(2))
})
