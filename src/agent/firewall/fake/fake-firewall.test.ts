import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tapOf, testFirewall } from '../firewall.contract.ts'
import { createFakeFirewall } from './fake-firewall.ts'

testFirewall('fake firewall', async (_t, kind) => {
  const firewall = createFakeFirewall(kind === 'able' ? 'bridge-conntrack' : 'stateless')
  const names = (isWanted: (vmId: string) => boolean) =>
    firewall
      .guardedTaps()
      .flatMap(({ tapName, vmId }) => (isWanted(vmId) ? [tapName] : []))
      .sort()
  return {
    firewall,
    guardedTaps: async () => names(() => true),
    filteredTaps: async () => names((vmId) => firewall.policy().machines.some((machine) => machine.vmId === vmId)),
  }
})

test('a broken firewall guards nothing until it is repaired', async () => {
  const firewall = createFakeFirewall()
  firewall.setBroken(true)
  await assert.rejects(firewall.guard(tapOf(1)), /broken/)
  assert.equal(firewall.isGuarded(tapOf(1)), false)
  firewall.setBroken(false)
  await firewall.guard(tapOf(1))
  assert.equal(firewall.isGuarded(tapOf(1)), true)
})
