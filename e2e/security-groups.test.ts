/** Security groups as their owner sees them: a real guest of a laboratory is closed and opened while it runs, and boots behind them. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ask, waitForAnswer } from '../src/cli/demo/http-probe.ts'
import type { VmView } from '../src/model/api/views.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'

let laboratory: OpenLaboratory
let web: VmView
const http = { direction: 'in', protocol: 'tcp', ports: [{ from: 80, to: 80 }] } as const

before(async () => {
  laboratory = await openLaboratory('e2e-firewall', ['--hosts', '1'])
  web = await laboratory.deploy('web')
})
after(() => laboratory?.[Symbol.asyncDispose]())

test('hosts say how they filter, and the doctor finds all machines guarded', async () => {
  const { status } = await laboratory.api.call('getHost', { params: { host: 'h1' } })
  assert.match(status.firewall, /^bridge-/, status.firewallDetail)
  const { findings, checked } = await laboratory.api.call('doctor', {})
  assert.ok(checked.includes('machines-are-guarded'))
  assert.deepEqual(findings, [])
})

test('a machine that runs is closed and opened within a moment, and goes on meanwhile', async () => {
  const { api } = laboratory
  await api.call('createSecurityGroup', { body: { name: 'http' } })
  await apply('http')
  await untilAnswers(false)
  await api.call('addSecurityRule', { params: { group: 'http' }, body: { ...http, ports: [...http.ports] } })
  await untilAnswers(true)
  await api.call('removeSecurityRule', { params: { group: 'http' }, body: { ...http, ports: [...http.ports] } })
  await untilAnswers(false)
  // Longer than its probe would need to find it dead: what looks at it from its own host is not locked out.
  await delay(6_000)
  const closed = await api.call('getVm', { params: { vm: 'web' } })
  assert.deepEqual(
    [closed.status.pid, closed.status.recovery?.service, closed.securityGroups],
    [web.status.pid, 'correct', ['http']],
  )
  await apply()
  await untilAnswers(true)
})

test('behind its groups it boots, gets its address by DHCP and serves', async () => {
  const { api } = laboratory
  await api.call('addSecurityRule', { params: { group: 'http' }, body: { ...http, ports: [...http.ports] } })
  await api.call('addSecurityRule', {
    params: { group: 'http' },
    body: { direction: 'out', protocol: 'tcp', ports: [{ from: 1, to: 1 }] },
  })
  await apply('http')
  const { pid } = web.status
  assert(pid)
  process.kill(pid, 'SIGKILL')
  await laboratory.untilPid('web', pid)
  await waitForAnswer({ address: web.address, name: 'web' }, { deadlineMs: 60_000 })
})

async function apply(...groups: string[]): Promise<void> {
  await laboratory.api.call('setVmSecurityGroups', { params: { vm: 'web' }, body: { groups } })
}

/** Asked from outside its host. */
async function untilAnswers(isOpen: boolean): Promise<void> {
  const givesUpAtMs = performance.now() + 10_000
  while (((await ask({ address: web.address, name: 'web' }, 500)) !== undefined) !== isOpen) {
    assert.ok(performance.now() < givesUpAtMs, `port 80 became ${isOpen ? 'open' : 'closed'} within 10 s`)
    await delay(50)
  }
}
