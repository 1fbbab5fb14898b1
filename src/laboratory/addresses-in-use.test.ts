import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rangesOfInterfaces, rangesOfRoutes } from './addresses-in-use.ts'
import { rangeOf } from './choose-subnet.ts'

test('each address of an interface takes its whole prefix', () => {
  const json = '[{"ifname":"lo"},{"ifname":"eth0","addr_info":[{"family":"inet","local":"10.64.3.2","prefixlen":24}]}]'
  assert.deepEqual(rangesOfInterfaces(json), [rangeOf('10.64.3.0/24')])
})

test('routes take their prefix, the default route and very wide ones take nothing', () => {
  const json =
    '[{"dst":"default"},{"dst":"10.0.0.0/8","dev":"tun0"},{"dst":"10.80.0.0/16"},{"type":"local","dst":"10.90.1.1"}]'
  assert.deepEqual(rangesOfRoutes(json), [rangeOf('10.80.0.0/16'), rangeOf('10.90.1.1')])
  assert.deepEqual(rangesOfRoutes(''), [])
})
