/** What the console decides without a browser. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { vmStateSchema } from '../../model/vm.ts'
import { makeCloud, makeEvent, makeHost, makeTask, makeVm } from '../cloud/cloud-state.fixture.ts'
import { carryOutAll } from './carry-out-all.ts'
import { describeHealth } from './describe-health.ts'
import { machineCommand, machineWish, nextName } from './machine-form.ts'
import { machineSearchSchema, selectMachines } from './machine-list.ts'
import { matchEvents } from './match-events.ts'
import { describeNines, summarize } from './nines.ts'
import { shareOfParts } from './outage-parts.ts'
import { marksOn } from './outage-timeline.ts'
import { pages } from './pages.ts'
import { searchPalette } from './palette.ts'
import { tasksInTray } from './task-list.ts'
import { obstacleTo, vmActions } from './vm-actions.ts'

test('health is one sentence, and what needs a person comes with the worst first', () => {
  const state = makeCloud({
    vms: [makeVm('web'), makeVm('db', 'lost'), makeVm('old', 'stopped', { desired: 'stopped' })],
    hosts: [makeHost('node1'), makeHost('node2', { state: 'suspect', detail: 'silent for 1 s' })],
  })
  const { level, sentence, needs } = describeHealth(state)
  assert.equal(level, 'trouble')
  assert.equal(sentence, '1 of 2 machines that should run do, 1 of 2 hosts are online.')
  assert.deepEqual(
    needs.map(({ subject }) => subject),
    ['db', 'node2'],
  )
  assert.equal(describeHealth(makeCloud({ vms: [makeVm('web')], hosts: [makeHost('node1')] })).level, 'good')
})

test('every action has an answer in every state, and a viewer may do none', () => {
  for (const state of vmStateSchema.options) {
    for (const action of vmActions) {
      const vm = makeVm('web', state)
      const obstacle = obstacleTo(action, vm, 'operator')
      if (obstacle !== null) assert.match(obstacle, /^web is .*\.$/)
      assert.match(obstacleTo(action, vm, 'viewer') ?? '', /needs the role operator/)
    }
  }
  assert.equal(obstacleTo('migrate', makeVm('web', 'running'), 'operator'), null)
  assert.equal(
    obstacleTo('resume', makeVm('web', 'stopped'), 'operator'),
    'web is stopped: this needs it paused or running.',
  )
})

test('machines are found by every word, filtered, and sorted as people count', () => {
  const vms = [
    makeVm('web-10'),
    makeVm('web-2', 'stopped'),
    makeVm('db', 'running', { hostName: 'node2', address: '10.0.0.9' }),
  ]
  const names = (search: object) => selectMachines(vms, machineSearchSchema.parse(search)).map(({ name }) => name)
  assert.deepEqual(names({}), ['db', 'web-2', 'web-10'])
  assert.deepEqual(names({ q: 'WEB node1' }), ['web-2', 'web-10'])
  assert.deepEqual(names({ state: 'stopped' }), ['web-2'])
  assert.deepEqual(names({ sort: 'address' }), ['db', 'web-2', 'web-10'])
  assert.deepEqual(
    names({ sort: 'nonsense', down: 'nonsense' }),
    ['db', 'web-2', 'web-10'],
    'an address that was typed wrong is no error',
  )
})

test('of many, each is told apart: accepted, left out with the reason, refused with the next step', async () => {
  const results = await carryOutAll(['a', 'b', 'c', 'd', 'e', 'f'], {
    obstacle: (name) => (name === 'b' ? 'b is stopped already.' : null),
    carryOut: async (name) => {
      if (name === 'c') throw new DialtoneError('no-host-fits', 'no host has room')
      if (name === 'd') throw new Error('the line broke')
    },
  })
  assert.deepEqual(
    results.map(({ name, outcome }) => `${name} ${outcome}`),
    ['a accepted', 'b left-out', 'c refused', 'd refused', 'e accepted', 'f accepted'],
  )
  assert.match(JSON.stringify(results[2]), /no host has room.*Free capacity/)
})

test('the palette finds pages, machines and what can be done with them', () => {
  const state = makeCloud({ vms: [makeVm('web-1'), makeVm('db-1', 'stopped')], hosts: [makeHost('node1')] })
  const find = (query: string, role: 'viewer' | 'operator' = 'operator') =>
    searchPalette(query, { state, pages, role }).map(({ title }) => title)
  assert.ok(find('avail').includes('Availability'))
  assert.equal(find('stop web')[0], 'stop web-1')
  assert.ok(!find('stop db').includes('stop db-1'), 'what would be refused is not offered')
  assert.ok(!find('stop web', 'viewer').includes('stop web-1'))
  assert.ok(find('node').includes('node1'))
})

test('nines are never rounded up to what was not', () => {
  assert.equal(describeNines({ availability: 0.99999, wasDown: true }), '99.9990 %')
  assert.equal(describeNines({ availability: 0.9996, wasDown: true }), '99.96 %')
  assert.equal(describeNines({ availability: 1, wasDown: false }), '100 %')
  assert.equal(describeNines({ availability: null, wasDown: false }), 'nobody looked')
  const sums = { upMs: 990, degradedMs: 0, downMs: 10, drillDownMs: 50, plannedMs: 7, unobservedMs: 3 }
  assert.deepEqual(summarize([{ sums }, { sums: { ...sums, upMs: 1000, downMs: 0 } }]), {
    availability: 1990 / 2000,
    wasDown: true,
  })
})

test('outages are marks on a line of time, cut off at its ends; their parts sum to one', () => {
  const window = { sinceMs: 1000, untilMs: 2000 }
  const outage = (beganMs: number, durationMs: number | null, soFarMs: number | null = null) => ({
    id: 'x',
    beganAt: new Date(beganMs).toISOString(),
    durationMs,
    soFarMs,
    drillId: null,
  })
  assert.deepEqual(marksOn([outage(1500, 100)], window), [{ id: 'x', from: 0.5, width: 0.1, isDrill: false }])
  assert.deepEqual(
    marksOn([outage(500, 600)], window).map(({ from, width }) => [from, width]),
    [[0, 0.1]],
  )
  assert.deepEqual(
    marksOn([outage(1900, null, 500)], window).map(({ width }) => width),
    [0.1],
  )
  assert.deepEqual(marksOn([outage(100, 100), outage(3000, 5)], window), [])
  const shares = shareOfParts({ detectMs: 10, decideMs: 10, fenceMs: null, startMs: 60, serveMs: 20 })
  assert.deepEqual(
    shares.map(({ part, share }) => [part, share]),
    [
      ['detectMs', 0.1],
      ['decideMs', 0.1],
      ['startMs', 0.6],
      ['serveMs', 0.2],
    ],
  )
})

test('a form is a call and a command that say the same', () => {
  const form = {
    template: 'tiny',
    name: 'web-1',
    cpus: 2,
    memoryMiB: 512,
    storage: '',
    network: 'dev',
    ha: true,
    recovery: 'warm',
    sshKeys: ' key one \n\n',
  } as const
  assert.deepEqual(machineWish(form), {
    name: 'web-1',
    template: 'tiny',
    cpus: 2,
    memoryMiB: 512,
    ha: true,
    recovery: { mode: 'warm' },
    networks: [{ network: 'dev' }],
    cloudInit: { userData: null, sshKeys: ['key one'], networkConfig: null },
  })
  assert.equal(
    machineCommand(form),
    'dialtone vm create web-1 --template tiny --cpus 2 --memory 512MiB --network dev --ha --recover warm --ssh-key FILE',
  )
  assert.equal(nextName('web', [makeVm('web-1'), makeVm('web-3')]), 'web-2')
})

test('the tray has what is under way and what has just ended; what failed stays longer', () => {
  const endedAt = '2026-03-01T11:00:00.000Z'
  const after = (ms: number) =>
    tasksInTray(
      [makeTask(), makeTask({ state: 'succeeded', endedAt }), makeTask({ state: 'failed', endedAt })],
      Date.parse(endedAt) + ms,
    ).length
  assert.deepEqual([after(1_000), after(20_000), after(120_000)], [3, 2, 1])
})

test('events are found by all of their words', () => {
  const events = [makeEvent(1), makeEvent(2, { subject: 'db', user: 'ann' })]
  assert.deepEqual(
    matchEvents(events, 'ANN db').map(({ revision }) => revision),
    [2],
  )
  assert.equal(matchEvents(events, ' ').length, 2)
})
