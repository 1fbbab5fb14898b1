import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { probeAccelerator } from './probe-accelerator.ts'

/** A program that ends as QEMU does in each of the cases. */
async function impostor(t: TestContext, script: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-impostor-'))
  t.after(() => rm(directory, { recursive: true }))
  const path = join(directory, 'qemu')
  await writeFile(path, `#!/bin/sh\n${script}\n`)
  await chmod(path, 0o755)
  return path
}

test('KVM is chosen only when the guest came to its end', async (t) => {
  const verdict = await probeAccelerator(await impostor(t, 'exit 33'), 2000)
  assert.equal(verdict.accelerator, 'kvm')
  assert.match(verdict.reason, /ran under KVM in \d+ ms/)
})

test('a guest that is not through in time means TCG, within the time', async (t) => {
  const startedAt = performance.now()
  const verdict = await probeAccelerator(await impostor(t, 'exec sleep 10'), 100)
  assert.ok(performance.now() - startedAt < 2000)
  assert.deepEqual([verdict.accelerator, /not through within 100 ms/.test(verdict.reason)], ['tcg', true])
})

test('what QEMU says against KVM is the reason for TCG', async (t) => {
  const words = 'qemu: failed to initialize kvm: Permission denied'
  const verdict = await probeAccelerator(await impostor(t, `echo "${words}" >&2; exit 1`), 2000)
  assert.deepEqual(verdict, { accelerator: 'tcg', reason: `KVM does not run a guest here: ${words}` })
  assert.equal((await probeAccelerator('/nonexistent/qemu', 2000)).accelerator, 'tcg')
})

test("the guest itself runs to its end under TCG, so that its failure is KVM's", async (t) => {
  const qemu = await impostor(t, 'shift 2; exec qemu-system-x86_64 -accel tcg "$@"')
  assert.equal((await probeAccelerator(qemu, 5000)).accelerator, 'kvm')
})
