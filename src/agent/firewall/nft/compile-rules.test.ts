import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FilterRule } from '../../../model/firewall.ts'
import { groupId, policyFor, tapOf } from '../firewall.contract.ts'
import { linkLocalAddress } from './compile-guard.ts'
import { compileRules } from './compile-rules.ts'
import type { FilterDescription } from './describe-filter.ts'

/** The first two have the same addresses. */
const networks = [
  { number: 1, router: '10.5.0.1' },
  { number: 300, router: '10.5.0.1' },
  { number: 7, router: '10.6.0.1' },
]
const open: FilterDescription = {
  kind: 'bridge-conntrack',
  bridge: 'br0',
  hostAddress: '10.90.1.1',
  networks: [],
  taps: [tapOf(1), tapOf(2)],
  policy: policyFor(),
}

test('each tap has one chain that accepts its own addresses and ends in a drop', () => {
  const chain = chainOf(compileRules(open), 'from-dt1')
  assert.equal(chain.at(-1), 'drop')
  const accepted = chain.filter((line) => line.endsWith('accept'))
  assert.deepEqual(accepted, [
    'arp saddr ether 52:54:00:00:00:01 arp saddr ip { 0.0.0.0, 10.90.0.11 } accept',
    'ether type 0x8035 accept',
    'ip saddr { 0.0.0.0, 10.90.0.11 } udp sport 68 udp dport 67 accept',
    'ip saddr 10.90.0.11 accept',
    'ip6 saddr :: icmpv6 type { nd-neighbor-solicit, mld2-listener-report } accept',
    'ip6 saddr { fe80:0000:0000:0000:5054:00ff:fe00:0001 } accept',
  ])
  assert.ok(chain.indexOf('ether saddr != 52:54:00:00:00:01 drop') < chain.indexOf(accepted[0] ?? ''))
})

test('a machine of a network with an IPv6 prefix has one address more', () => {
  const tap = { ...tapOf(1), address6: 'fd00:5::5054:ff:fe00:1' }
  const chain = chainOf(compileRules({ ...open, taps: [tap] }), 'from-dt1')
  const own = ['fe80:0000:0000:0000:5054:00ff:fe00:0001', 'fd00:0005:0000:0000:5054:00ff:fe00:0001']
  assert.ok(chain.includes(`ip6 saddr { ${own.join(', ')} } accept`))
})

test('a tap of ours that nobody described passes nothing, and foreign ports are left alone', () => {
  for (const taps of [[], [tapOf(1)]]) {
    const chain = chainOf(compileRules({ ...open, taps }), 'guard')
    for (const digit of '123456789') assert.ok(chain.includes(`iifname "dt${digit}*" drop`))
    assert.match(chain[0] ?? '', /policy accept/)
  }
})

test('only our own tables are named, and each is replaced within the same transaction', () => {
  for (const kind of ['bridge-conntrack', 'bridge-netfilter', 'stateless'] as const) {
    const program = compileRules({ ...open, kind, policy: policyFor(1) })
    const tables = program.match(/^(?:add |delete )?table .*$/gm) ?? []
    assert.ok(tables.every((line) => /^(?:add table|delete table|table) (?:inet|bridge) dialtone(?: \{)?$/.test(line)))
    assert.ok(program.indexOf('delete table bridge dialtone') < program.indexOf('table bridge dialtone {'))
  }
})

test('without a group there is no filter beyond the addresses, and connections are not followed', () => {
  for (const kind of ['bridge-conntrack', 'bridge-netfilter'] as const)
    assert.doesNotMatch(compileRules({ ...open, kind }), /hook (?:forward|input|output)|ct state/)
})

test('a machine with a group is sent what the group lets in and nothing else, and may send all', () => {
  const program = compileRules({ ...open, policy: policyFor(1) })
  assert.deepEqual(chainOf(program, `in-${groupId}`), ['tcp dport { 80 } accept'])
  assert.deepEqual(chainOf(program, 'to-dt1'), [`jump in-${groupId}`, 'drop'])
  assert.ok(chainOf(program, 'enter-from-others').includes('oifname vmap { "dt1" : goto to-dt1 }'))
  assert.doesNotMatch(program, /out-of-dt1|to-dt2/)
})

test('what a machine sends is limited only by a rule for it', () => {
  const program = withRules([
    { direction: 'out', protocol: 'udp', ports: [{ from: 53, to: 53 }], peers: ['10.90.0.0/16'] },
  ])
  assert.deepEqual(chainOf(program, `out-${groupId}`), ['ip daddr { 10.90.0.0/16 } udp dport { 53 } accept'])
  assert.deepEqual(chainOf(program, 'out-of-dt1'), [`jump out-${groupId}`, 'drop'])
  for (const hook of ['leave-to-others', 'leave-to-host'])
    assert.ok(chainOf(program, hook).includes('iifname vmap { "dt1" : goto out-of-dt1 }'))
})

test('ARP, DHCP and neighbour discovery pass before any rule is looked at, whatever the rules are', () => {
  const strictest: FilterRule = { direction: 'out', protocol: 'tcp', ports: [], peers: [] }
  for (const rules of [[], [strictest]]) {
    const program = withRules(rules)
    for (const hook of ['enter-from-others', 'enter-from-host', 'leave-to-others', 'leave-to-host']) {
      const lines = chainOf(program, hook)
      const verdicts = lines.findIndex((line) => line.includes('vmap'))
      if (verdicts >= 0) assert.ok(lines.indexOf('jump passes-always') < verdicts)
    }
    const always = chainOf(program, 'passes-always')
    for (const line of ['ether type { arp, 0x8035 } accept', 'udp sport 67 udp dport 68 accept'])
      assert.ok(always.includes(line))
    assert.ok(always.some((line) => line.includes('nd-neighbor-solicit')))
  }
})

test('whatever the rules are, a machine in a network of its own hears the router that its host asks by, and may answer it', () => {
  const { machines } = policyFor(1)
  const rules: FilterRule[] = [{ direction: 'out', protocol: 'tcp', ports: [], peers: [] }]
  const policy = { machines, groups: [{ id: groupId, rules }] }
  const program = compileRules({ ...open, networks, policy })
  const routers = '{ 10.5.0.1, 10.6.0.1 }'
  const before = (hook: string) => chainOf(program, hook).slice(1, 2)
  assert.deepEqual(before('enter-from-others'), [`iifname "dtr*" ip saddr ${routers} accept`])
  const answers = `oifname "dtr*" ip daddr ${routers} tcp flags & (syn | ack) != syn accept`
  assert.deepEqual(before('leave-to-others'), [answers])
})

test('a rule whose group has no machine lets nobody in', () => {
  const program = withRules([{ direction: 'in', protocol: 'tcp', ports: [], peers: [] }])
  assert.deepEqual(chainOf(program, `in-${groupId}`), [])
})

test('ranges, ICMP and rules for everything are written as nft wants them', () => {
  const program = withRules([
    {
      direction: 'in',
      protocol: 'udp',
      ports: [
        { from: 53, to: 53 },
        { from: 6000, to: 6010 },
      ],
      peers: ['10.1.2.3'],
    },
    { direction: 'in', protocol: 'icmp', ports: [], peers: null },
    { direction: 'in', protocol: 'tcp', ports: [], peers: null },
    { direction: 'in', protocol: 'any', ports: [], peers: ['10.0.0.0/8'] },
  ])
  assert.deepEqual(chainOf(program, `in-${groupId}`), [
    'ip saddr { 10.1.2.3 } udp dport { 53, 6000-6010 } accept',
    'meta l4proto { icmp, ipv6-icmp } accept',
    'meta l4proto tcp accept',
    'ip saddr { 10.0.0.0/8 } accept',
  ])
})

test('where the bridge follows no connections, IP’s own hooks tell it by a mark which no guest can set', () => {
  const program = compileRules({ ...open, kind: 'bridge-netfilter', policy: policyFor(1) })
  assert.match(program, /iifname { "br0" } ct state established,related meta mark set meta mark \| 0x01000000/)
  assert.ok(chainOf(program, 'passes-always').includes('meta mark & 0x01000000 != 0 accept'))
  assert.equal(chainOf(program, 'guard')[1], 'meta mark & 0x01000000 != 0 meta mark set meta mark & 0xfeffffff')
})

test('connections are followed in each network apart: the same addresses in another one are other connections', () => {
  const program = compileRules({ ...open, kind: 'bridge-netfilter', networks, policy: policyFor(1) })
  assert.match(
    program,
    /priority -300; policy accept;\n *ct zone set iifname map \{ "dtn1" : 1, "dtn300" : 300, "dtn7" : 7 \}/,
  )
  assert.match(program, /iifname \{ "br0", "dtn1", "dtn300", "dtn7" \} ct state established,related/)
})

test('a link-local address is made of the MAC', () => {
  assert.equal(linkLocalAddress('52:54:00:12:34:56'), 'fe80:0000:0000:0000:5054:00ff:fe12:3456')
})

function withRules(rules: readonly FilterRule[]): string {
  const { machines } = policyFor(1)
  return compileRules({ ...open, policy: { machines, groups: [{ id: groupId, rules: [...rules] }] } })
}

/** The lines of a chain. */
function chainOf(program: string, name: string): string[] {
  const body = new RegExp(`^  chain ${name} \\{\\n((?:    .*\\n)*)  \\}`, 'm').exec(program)?.[1]
  assert.ok(body !== undefined, `there is a chain ${name}`)
  return body.split('\n').flatMap((line) => (line === '' ? [] : [line.trim()]))
}
