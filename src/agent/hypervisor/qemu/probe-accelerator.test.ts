import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type AcceleratorVerdict, probeAccelerator } from './probe-accelerator.ts'

/** The verdict over a program that ends as QEMU does in one of the cases. */
async function probe(t: TestContext, script: string, timeoutMs: number): Promise<AcceleratorVerdict> {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-impostor-'))
  t.after(() => rm(directory, { recursive: true }))
  const path = join(directory, 'qemu')
  await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  const verdict = await probeAccelerator(path, directory, timeoutMs)
  assert.deepEqual(await readdir(directory), ['qemu'])
  return verdict
}

test('KVM is chosen only when the guest came to its end', async (t) => {
  const verdict = await probe(t, 'exit 33', 2000)
  assert.equal(verdict.accelerator, 'kvm')
  assert.match(verdict.reason, /ran under KVM in \d+ ms/)
})

test('a guest that is not through in time means TCG, within the time', async (t) => {
  const startedAt = performance.now()
  const verdict = await probe(t, 'exec sleep 10', 100)
  assert.ok(performance.now() - startedAt < 10_000)
  assert.deepEqual([verdict.accelerator, verdict.reason.includes('not through within 100 ms')], ['tcg', true])
})

test('what QEMU says against KVM is the reason for TCG', async (t) => {
  const words = 'qemu: failed to initialize kvm: Permission denied'
  const verdict = await probe(t, `echo "${words}" >&2; exit 1`, 2000)
  assert.deepEqual(verdict, { accelerator: 'tcg', reason: `KVM does not run a guest here: ${words}` })
  assert.equal((await probe(t, 'exec /nonexistent/qemu', 2000)).accelerator, 'tcg')
})

test("the guest itself runs to its end under TCG, so that its failure is KVM's", async (t) => {
  const verdict = await probe(t, 'shift 2; exec qemu-system-x86_64 -accel tcg "$@"', 5000)
  assert.equal(verdict.accelerator, 'kvm')
})
