/** Debian as its recipe makes it: built, booted by BIOS and by UEFI, told by cloud-init who it is, and answering. Minutes without KVM. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { VmView } from '../../src/model/api/views.ts'
import { consoleLogOf } from '../console-log.ts'
import { type OpenLaboratory, openLaboratory } from '../open-laboratory.ts'

const key = `ssh-ed25519 ${'A'.repeat(68)} somebody@somewhere`
const report = 'cat /told; hostname; cat /home/debian/.ssh/authorized_keys; findmnt -bno SIZE /; echo ALL TOLD'
const userData = `#cloud-config
write_files: [{path: /told, content: "hello from outside\\n"}]
runcmd: [[sh, -c, "{ ${report}; } > /dev/ttyS0 2>&1"]]
`
const deadlineMs = 900_000
let laboratory: OpenLaboratory

before(async () => {
  laboratory = await openLaboratory('e2e-debian', ['--hosts', '1'])
  const { task } = await laboratory.api.call('buildTemplate', { body: { recipe: 'debian' } }, { timeoutMs: 60_000 })
  await laboratory.untilTaskEnds(task.id, deadlineMs)
})
after(() => laboratory?.[Symbol.asyncDispose]())

for (const firmware of ['bios', 'uefi'] as const) {
  test(`Debian boots by ${firmware}, takes name, key, file and disk from cloud-init, and answers`, async (t) => {
    const { api } = laboratory
    const name = `debian-${firmware}`
    const cloudInit = { userData, sshKeys: [key], networkConfig: null }
    const beganAtMs = performance.now()
    const { vm } = await api.call('createVm', {
      body: { name, template: 'debian', guest: { firmware }, rootDiskMiB: 4096, cloudInit },
    })
    const heard = await untilHeard(vm, /ALL TOLD/)
    t.diagnostic(`cloud-init is through after ${Math.round((performance.now() - beganAtMs) / 1000)} s`)
    await untilBanner(vm)
    t.diagnostic(`SSH answers after ${Math.round((performance.now() - beganAtMs) / 1000)} s`)
    assert.match(heard, /hello from outside/)
    assert.match(heard, new RegExp(`^${name}\\r?$`, 'm'))
    assert.match(heard, /^ssh-ed25519 A+ somebody@somewhere/m)
    assert(Number(/^(\d{9,})\r?$/m.exec(heard)?.[1]) > 3.5e9, 'the root file system has grown with its disk')
    const stopped = await api.call('stopVm', { params: { vm: name }, body: { timeoutSeconds: 120 } })
    await laboratory.untilTaskEnds(stopped.task.id)
  })
}

async function untilBanner({ address, name }: VmView): Promise<void> {
  const givesUpAtMs = performance.now() + deadlineMs
  while (!(await bannerOf(address)).startsWith('SSH-2.0-')) {
    assert(performance.now() < givesUpAtMs, `${name} answers by SSH`)
    // Each question starts a process in the guest, which is slow.
    await delay(5_000)
  }
}

function bannerOf(host: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: 22, timeout: 20_000 })
    const end = (text: string) => {
      socket.destroy()
      resolve(text)
    }
    socket.once('data', (chunk) => end(chunk.toString()))
    socket.once('error', () => end(''))
    socket.once('timeout', () => end(''))
    socket.once('close', () => end(''))
  })
}

async function untilHeard({ id, name }: VmView, pattern: RegExp): Promise<string> {
  const givesUpAtMs = performance.now() + deadlineMs
  for (;;) {
    const heard = await consoleLogOf(laboratory, id)
    if (pattern.test(heard)) return heard
    assert(performance.now() < givesUpAtMs, `${name} says ${pattern}, but said: ${heard.slice(-2000)}`)
    await delay(1_000)
  }
}
