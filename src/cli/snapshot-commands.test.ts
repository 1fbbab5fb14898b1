import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTerminal } from './stand-in/open-terminal.fixture.ts'

const terminal = openTerminal()
const { dialtone } = terminal
const changes = () => terminal.standIn.situation.changes

test('the snapshots of a machine are drawn as a tree, with "you are here"', async () => {
  const { code, out } = await dialtone('vm snapshot list web')
  assert.equal(code, 0)
  const drawn = out.split('\n').map((line) => line.split(/ {2,}\S+ ago/)[0]?.trimEnd())
  assert.deepEqual(drawn.slice(1, 5), ['└─ clean', '   ├─ tuned', '   └─ tried', '      └─ you are here'])
  assert.match(out, /clean +\S+ ago +disks, file systems in order +user +yes +as delivered/)
})

test('a list with --json is the API’s answer', async () => {
  const { out } = await dialtone('vm snapshot list web --json')
  assert.equal(JSON.parse(out).snapshots.length, 3)
})

test('a snapshot is taken with what was asked for, and of several machines at once', async () => {
  assert.equal((await dialtone('vm snapshot create web now --disk-only --freeze required --protect')).code, 0)
  assert.equal((await dialtone('vm snapshot create web,app now --set')).code, 0)
  const [single = '', set] = changes()
  assert.deepEqual(JSON.parse(single.slice('snapshot '.length, -' web'.length)), {
    ...{ name: 'now', note: '', protected: true, freeze: 'required', kind: 'disk' },
  })
  assert.equal(set, 'snapshot-set web app')
})

test('a return asks first, says what becomes of the present, and keeps it if that is wanted', async () => {
  const refused = await dialtone('vm snapshot revert web clean')
  assert.equal(refused.code, 1)
  assert.match(refused.err, /web needs a confirmation/)
  assert.deepEqual(changes(), [])
  assert.equal((await dialtone('vm snapshot revert web clean --keep mine --yes')).code, 0)
  assert.deepEqual(changes(), ['revert {"snapshot":"snap-aaaaaaaa","keepAs":"mine"} web'])
})

test('a deletion asks first', async () => {
  assert.equal((await dialtone('vm snapshot delete web tuned')).code, 1)
  assert.deepEqual(changes(), [])
  assert.equal((await dialtone('vm snapshot delete web tuned --yes')).code, 0)
  assert.deepEqual(changes(), ['delete-snapshot tuned of web'])
})

test('a schedule is set, told and ended', async () => {
  const { out } = await dialtone('vm snapshot schedule web --every 1h --keep 5')
  assert.equal(out, 'web: a snapshot of its disks every 3600 s, the newest 5 are kept.\n')
  assert.match((await dialtone('vm snapshot schedule web --off')).out, /no schedule/)
})

test('a change is begun with its checks, and taken back only after a question', async () => {
  const { code } = await dialtone('vm change begin web --for 2m --auto --check true')
  assert.equal(code, 0)
  assert.deepEqual(changes(), ['change-begin {"checks":["true"],"forSeconds":120,"auto":true} web'])
  assert.equal((await dialtone('vm change revert web')).code, 1)
  assert.equal((await dialtone('vm change commit web')).code, 0)
  assert.match((await dialtone('vm change show web')).out, /no change is open/)
})

test('completion offers the verbs of snapshots, and the snapshots of the machine that was named', async () => {
  const offered = async (words: string) => (await dialtone(`__complete -- ${words}`)).out.trimEnd().split('\n')
  assert.deepEqual((await offered('vm snapshot ')).includes('revert'), true)
  assert.deepEqual(await offered('vm snapshot revert web '), ['clean', 'tuned', 'tried'])
})
