/** What every firewall promises to the agent. Each sibling's test calls `testFirewall` with a firewall of its own. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { FilterRule, HostFirewall } from '../../model/firewall.ts'
import { securityGroupIdSchema, vmIdSchema } from '../../model/ids.ts'
import type { Firewall, GuardedTap } from './firewall.ts'

/** A firewall that guards nothing yet. */
export type FirewallWorld = {
  readonly firewall: Pick<Firewall, 'guard' | 'forget' | 'adopt' | 'setPolicy'>
  /** Names of the taps that are guarded, sorted, as whoever keeps the rules tells it. */
  guardedTaps(): Promise<readonly string[]>
  /** The same of those that have security groups. */
  filteredTaps(): Promise<readonly string[]>
}

export function testFirewall(
  driver: string,
  makeWorld: (t: TestContext, kind: 'able' | 'stateless') => Promise<FirewallWorld>,
): void {
  const scenario = (statement: string, play: (world: FirewallWorld) => Promise<void>) => {
    test(`${driver}: ${statement}`, async (t) => play(await makeWorld(t, 'able')))
  }

  scenario('taps are guarded once each, also when it is asked for twice or for many at once', async (world) => {
    await Promise.all([1, 2, 1, 3].map((number) => world.firewall.guard(tapOf(number))))
    assert.deepEqual(await world.guardedTaps(), ['dt1', 'dt2', 'dt3'])
  })

  scenario('a tap that is gone is forgotten, the others stay, and doing it again is fine', async (world) => {
    await world.firewall.guard(tapOf(1))
    await world.firewall.guard(tapOf(2))
    await world.firewall.forget('dt1')
    await world.firewall.forget('dt1')
    assert.deepEqual(await world.guardedTaps(), ['dt2'])
  })

  scenario('adoption guards exactly the given taps', async (world) => {
    await world.firewall.guard(tapOf(1))
    await world.firewall.guard(tapOf(2))
    await world.firewall.adopt([tapOf(2), tapOf(3)])
    assert.deepEqual(await world.guardedTaps(), ['dt2', 'dt3'])
    await world.firewall.adopt([])
    assert.deepEqual(await world.guardedTaps(), [])
  })

  scenario(
    'a machine has the security groups that it was given last, before and after it is guarded',
    async (world) => {
      await world.firewall.setPolicy(policyFor(1))
      await world.firewall.guard(tapOf(1))
      await world.firewall.guard(tapOf(2))
      assert.deepEqual(await world.filteredTaps(), ['dt1'])
      await world.firewall.setPolicy(policyFor(1, 2))
      assert.deepEqual(await world.filteredTaps(), ['dt1', 'dt2'])
      await world.firewall.setPolicy(policyFor())
      assert.deepEqual(await world.filteredTaps(), [])
      assert.deepEqual(await world.guardedTaps(), ['dt1', 'dt2'])
    },
  )

  test(`${driver}: where connections can't be followed, a machine with groups is refused and others are guarded`, async (t) => {
    const { firewall, guardedTaps } = await makeWorld(t, 'stateless')
    await firewall.setPolicy(policyFor(1))
    await firewall.guard(tapOf(2))
    await assert.rejects(
      firewall.guard(tapOf(1)),
      (error) => error instanceof DialtoneError && error.message.includes("can't keep the security groups"),
    )
    assert.deepEqual(await guardedTaps(), ['dt2'])
  })
}

/** The tap of an imagined machine with this number, 1 to 9. */
export function tapOf(number: number): GuardedTap {
  return {
    vmId: vmIdSchema.parse(`vm-aaaaaaa${'abcdefghi'[number - 1]}`),
    tapName: `dt${number}`,
    macAddress: `52:54:00:00:00:0${number}`,
    address: `10.90.0.1${number}`,
    address6: null,
  }
}

export const groupId = securityGroupIdSchema.parse('sg-aaaaaaaa')

/** These machines have one group, which lets TCP port 80 in. */
export function policyFor(...numbers: readonly number[]): HostFirewall {
  const web: FilterRule = { direction: 'in', protocol: 'tcp', ports: [{ from: 80, to: 80 }], peers: null }
  return {
    groups: numbers.length === 0 ? [] : [{ id: groupId, rules: [web] }],
    machines: numbers.map((number) => ({ vmId: tapOf(number).vmId, groupIds: [groupId] })),
  }
}
