/** Memory images of a real Linux guest: captured while it serves, baked, resumed. Needs root, a cgroup v2 tree, dnsmasq and the template `tiny`. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { MachineDefinition, MemoryImageFiles, RunningMachine } from '../../src/agent/hypervisor/hypervisor.ts'
import { runCommand } from '../../src/linux/run-command.ts'
import { isThorough } from '../is-thorough.ts'
import { type GuestHost, openGuestHost, rootVolume, template } from './open-guest-host.ts'

const timeout = 90_000
const dataVolume = 'vol-data2345'
let host: GuestHost
let inMemory = ''

describe('the memory image of a Linux machine', {
  skip: template === undefined && 'the template tiny is not built',
}, () => {
  before(async () => {
    host = await openGuestHost()
    inMemory = await mkdtemp('/dev/shm/dialtone-e2e-')
  })
  after(async () => {
    await host.close()
    await rm(inMemory, { recursive: true })
  })

  test('takes the place of a machine that was killed, on a disk of the same instant', { timeout }, async (t) => {
    const definition = await host.define('live')
    let machine = await host.hypervisor().start(definition)
    await machine.resume()
    await host.untilHttpAnswers()
    await run(machine, 'echo of-the-instant > /root/mark; sync')
    const { image, frozen } = await captureImage(t, machine, { definition, name: 'first', folder: inMemory })
    await run(machine, 'echo later > /root/mark; sync; mkdir /run/later')

    for (const warmUpMs of [0, 300]) {
      const { spare, shape } = await prepareSpare({ image, frozen, name: `spare${warmUpMs}`, warmUpMs })
      const killedAt = performance.now()
      process.kill(machine.pid, 'SIGKILL')
      await machine.exited
      const [resumed] = await Promise.all([
        spare.takeOver(shape.life, await host.makeCgroup(`taken${warmUpMs}`)),
        host.plug(shape),
      ])
      await resumed.resume()
      const resumedAt = performance.now()
      while (!(await host.isHttpAnswered(100))) assert.ok(performance.now() - killedAt < 10_000, 'no answer')
      const [toResume, toAnswer] = [resumedAt - killedAt, performance.now() - killedAt]
      t.diagnostic(
        `warmed up for ${warmUpMs} ms: killed → resumed ${toResume.toFixed(0)} ms, → answers ${toAnswer.toFixed(0)} ms`,
      )
      assert.equal(await run(resumed, 'cat /root/mark; ls /run | grep -c later'), 'of-the-instant\n0\n')
      machine = resumed
    }
    await machine.kill(5000)
  })

  for (const where of ['in memory', 'on the disk'] as const) {
    test(`is captured again of a machine that was resumed from an image ${where}`, { timeout }, async (t) => {
      const name = where.replaceAll(' ', '-')
      const folder = where === 'in memory' ? inMemory : host.directory
      const definition = await host.define(name)
      const machine = await host.hypervisor().start(definition)
      await machine.resume()
      await host.untilHttpAnswers()
      const { image, frozen } = await captureImage(t, machine, { definition, name: `${name}-1`, folder })
      await machine.kill(5000)
      const { spare, shape } = await prepareSpare({ image, frozen, name: `${name}-2`, warmUpMs: 0 })
      const resumed = await spare.takeOver(shape.life, shape.cgroupDirectory)
      await host.plug(shape)
      await resumed.resume()
      await host.untilHttpAnswers()
      await run(resumed, 'echo second > /root/mark; sync')
      const second = await captureImage(t, resumed, { definition: shape, name: `${name}-3`, folder })
      await resumed.kill(5000)
      const again = await prepareSpare({ ...second, name: `${name}-4`, warmUpMs: 0 })
      const last = await again.spare.takeOver(shape.life, again.shape.cgroupDirectory)
      await host.plug(again.shape)
      await last.resume()
      await host.untilHttpAnswers()
      assert.equal(await run(last, 'cat /root/mark'), 'second\n')
      await last.kill(5000)
    })
  }

  test('a disk is plugged in, seen by the guest, and pulled out', { timeout }, async (t) => {
    const machine = await host.hypervisor().start(await host.define('disks'))
    await machine.resume()
    await host.untilHttpAnswers()
    const disk = { volumeId: dataVolume, path: await host.overlayOn(await blankDisk()), format: 'qcow2' as const }
    const startedAt = performance.now()
    await machine.attachDisk(disk)
    const attachedAt = performance.now()
    await run(machine, 'until grep -q vol-data2345 /sys/block/*/serial; do sleep 0.01; done')
    t.diagnostic(
      `attached in ${(attachedAt - startedAt).toFixed(0)} ms, seen by the guest after ${(performance.now() - startedAt).toFixed(0)} ms`,
    )
    const pulledAt = performance.now()
    await machine.detachDisk(dataVolume)
    t.diagnostic(`let go of in ${(performance.now() - pulledAt).toFixed(0)} ms`)
    assert.equal(await run(machine, 'cat /sys/block/*/serial | grep -c vol-data2345'), '0\n')
    await machine.kill(5000)
  })

  // A drill freezes a machine of the same kind in recover-from-memory.test.ts.
  test('a guest whose watchdog is not petted any more is said to hang', { timeout, skip: !isThorough }, async () => {
    const machine = await host.hypervisor().start(await host.define('hangs'))
    const hung = new Promise<void>((resolve) => {
      machine.onEvent(({ kind }) => {
        if (kind === 'guest-hung') resolve()
      })
    })
    await machine.resume()
    await host.untilHttpAnswers()
    await run(machine, 'for it in /proc/[0-9]*; do grep -q ^watchdog $it/cmdline && kill -STOP ${it#/proc/}; done')
    await Promise.race([hung, delay(45_000, undefined, { ref: false }).then(() => assert.fail('no hang was told'))])
    assert.equal(await machine.state(), 'paused')
    await machine.kill(5000)
  })
})

async function run(machine: RunningMachine, script: string): Promise<string> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return (await machine.runInGuest(['/bin/sh', '-c', script], 10_000)).output
    } catch (error) {
      // The service answers before the guest agent is up.
      if (attempt === 4) throw error
      await delay(500)
    }
  }
}

async function captureImage(
  t: TestContext,
  machine: RunningMachine,
  of: { readonly definition: MachineDefinition; readonly name: string; readonly folder: string },
): Promise<{ image: MemoryImageFiles; frozen: string }> {
  const frozen = (await machine.diskPaths()).get(rootVolume)
  assert.ok(frozen)
  const streamPath = join(host.directory, `${of.name}.stream`)
  const overlays = [{ volumeId: rootVolume, path: await host.overlayOn(frozen) }]
  const capture = await machine.capture({ overlays, streamPath })
  await capture.written
  const image = { memory: join(of.folder, `${of.name}.memory`), state: join(of.folder, `${of.name}.state`) }
  const startedAt = performance.now()
  await host.hypervisor().bake(await host.define(`${of.name}-bake`, { on: frozen, isUnheard: true }), streamPath, image)
  const bakeMs = performance.now() - startedAt
  t.diagnostic(`captured with a pause of ${capture.pauseMs.toFixed(1)} ms, baked in ${bakeMs.toFixed(0)} ms`)
  return { image, frozen }
}

async function prepareSpare(of: {
  readonly image: MemoryImageFiles
  readonly frozen: string
  readonly name: string
  readonly warmUpMs: number
}) {
  const { warmUpMs } = of
  const shape = await host.define(of.name, { on: of.frozen, isUnheard: true })
  return { spare: await host.hypervisor().prepare(shape, of.image, { warmUpMs }), shape }
}

async function blankDisk(): Promise<string> {
  const path = join(host.directory, 'blank.qcow2')
  await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', path, '64M'], { timeoutMs: 10_000 })
  return path
}
