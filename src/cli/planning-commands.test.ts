/** Placement, reserve and plan on the command line, against the real contract over HTTP. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openTerminal } from './stand-in/open-terminal.fixture.ts'

const terminal = openTerminal()
const { dialtone } = terminal

test('rules of placement are set as a whole, and each host says its word', async () => {
  const words =
    'vm placement web --label app=web --apart app=web --on-host zone=north,preferred --spread app=web,over=zone'
  const { code, out } = await dialtone(words)
  assert.equal(code, 0)
  assert.match(out, /has to run apart from machines with app=web; had better run on hosts with zone=north; spreads/)
  assert.match(out, /node1 +yes +1\.50 +3968 MiB free/)
  const [change = ''] = terminal.standIn.situation.changes
  assert.deepEqual(JSON.parse(change.replace('placement web ', '')), {
    labels: { app: 'web' },
    rules: [
      { kind: 'apart-from-machines', label: { key: 'app', value: 'web' }, strength: 'required' },
      { kind: 'on-hosts', hosts: { label: { key: 'zone', value: 'north' } }, strength: 'preferred' },
    ],
    spread: { label: { key: 'app', value: 'web' }, over: 'zone' },
  })
})

test('a rule that is not one is refused as usage, with an example', async () => {
  const { code, err } = await dialtone('vm placement web --apart app')
  assert.equal(code, 2)
  assert.match(err, /A label is written like app=web/)
})

test('labels of a host are set and removed', async () => {
  assert.equal((await dialtone('host label node1 zone=north rack-')).out, 'node1: zone=north\n')
  assert.deepEqual(terminal.standIn.situation.changes, ['labels node1 {"set":{"zone":"north"},"remove":["rack"]}'])
})

test('a reserve that does not hold says after which failure', async () => {
  const { out } = await dialtone('cluster reserve 1')
  assert.match(out, /1 host may fail.*\nThat does not hold now: if node1 died, no host would take web/)
})

test('the plan lists decisions and refusals; a failure is told with who goes on and who does not', async () => {
  const { out } = await dialtone('plan')
  assert.match(out, /db +waiting +- +wait +no host fits/)
  assert.match(out, /not on node2: needs 304 MiB/)
  const loss = (await dialtone('plan --if-host-dies node1')).out
  assert.match(loss, /web +node2 +resumes from its image there +1\.5s +nothing on disk/)
  assert.match(loss, /These do not:\n {2}db: it has no HA/)
  assert.equal(JSON.parse((await dialtone('plan --json')).out).vms.length, 2)
})

test('a dump is planned with where no controller is', async () => {
  const path = join(terminal.home, 'dump.json')
  assert.equal(
    (await dialtone(`cluster dump --out ${path}`)).err,
    `0 VMs on 1 hosts are in ${path}. Plan: dialtone plan --dump ${path}.\n`,
  )
  assert.equal(JSON.parse(await readFile(path, 'utf8')).format, 'dialtone-dump-1')
  const { code, out } = await dialtone(`plan --dump ${path} --if-host-dies node1`, {
    environment: { DIALTONE_SERVER: 'http://127.0.0.1:1' },
  })
  assert.equal(code, 0)
  assert.match(out, /^If node1 died: .*lease/)
  const unknown = await dialtone(`plan --dump ${path} --if-host-dies node9`)
  assert.match(unknown.err, /There is no host node9.*\n.*It has: node1/)
  await writeFile(path, '{}')
  const broken = await dialtone(`plan --dump ${path}`)
  assert.equal(broken.code, 2)
  assert.match(broken.err, /is not a dump of a cluster/)
})

test('a maintenance is previewed, begun with what is allowed, and ended', async () => {
  const plan = (await dialtone('host maintenance on node1 --plan')).out
  assert.match(plan, /web +migrate +node2 +node2 fits best/)
  assert.match(plan, /But meanwhile the reserve is not whole\.\n\nIt can't be emptied: 1 of 2 machines would not leave/)
  assert.deepEqual(terminal.standIn.situation.changes, [])
  const begun = await dialtone('host maintenance on node1 --parallel 4 --restart-elsewhere')
  assert.match(
    begun.out,
    /^node1 is empty and takes no machines. Give it back with: dialtone host maintenance off node1/,
  )
  assert.deepEqual(terminal.standIn.situation.changes, [
    'maintenance {"parallel":4,"stop":false,"restartElsewhere":true}',
  ])
  assert.equal((await dialtone('host maintenance off node1')).out, 'node1 takes machines again. Started again: db.\n')
})

test('an update asks before it runs anything, names its hosts, and shows what they said', async () => {
  const asked = await dialtone('host update --rolling --hosts node1,node2 --command true')
  assert.equal(asked.code, 1)
  assert.match(asked.err, /--yes/)
  assert.deepEqual(terminal.standIn.situation.changes, [])
  terminal.standIn.situation.taskChanges = [
    { state: 'succeeded', endedAt: '2026-03-01T12:00:00.000Z', output: 'node1:\nall is new' },
  ]
  const { out } = await dialtone('host update --rolling --hosts node1,node2 --command true --yes')
  assert.equal(out, 'node1:\nall is new\nUpdated: node1, node2.\n')
  assert.match(
    terminal.standIn.situation.changes[0] ?? '',
    /^update {"parallel":2,.*"hosts":\["node1","node2"\],"command":"true"}|"command":"true"/,
  )
})
