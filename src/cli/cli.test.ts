import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { DialtoneError } from '../model/dialtone-error.ts'
import { openTerminal } from './stand-in/open-terminal.fixture.ts'
import { standInToken } from './stand-in/stand-in-controller.ts'
import { makeVmView } from './stand-in/views.ts'

const terminal = openTerminal()
const { dialtone } = terminal

const step = (name: string) => [{ name, state: 'running' as const, tookMs: null }]
const succeeded = { state: 'succeeded', progress: 1, endedAt: '2026-03-01T12:00:00.000Z' } as const

test('a list is a table without colours in a pipe, and exits with 0', async () => {
  terminal.standIn.situation.vms = [makeVmView(), makeVmView({ name: 'database', ha: false })]
  const { code, out, err } = await dialtone('vm list')
  assert.equal(code, 0)
  assert.equal(err, '')
  assert.match(out, /^NAME +STATE +SINCE +HOST/)
  assert.match(out, /\ndatabase +running .* 128 MiB +no +boot +tiny\n$/)
  assert.ok(!out.includes('\x1b'))
})

test('--json prints the API’s answer as one document, wherever it stands', async () => {
  const endings = await Promise.all([dialtone('vm list --json'), dialtone('--json vm list')])
  for (const { out } of endings) {
    assert.deepEqual(JSON.parse(out), { vms: JSON.parse(JSON.stringify(terminal.standIn.situation.vms)), revision: 40 })
  }
})

test('a watch with --json prints one object a line', async () => {
  const { code, out } = await dialtone('event watch --json')
  assert.equal(code, 0)
  assert.deepEqual(
    out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).kind),
    ['vm.started'],
  )
})

test('what others wrote is shown with its control characters visible', async () => {
  const vm = makeVmView()
  terminal.standIn.situation.vms = [{ ...vm, status: { ...vm.status, detail: 'died\x1b[2J\nHOST FAKED' } }]
  const { out } = await dialtone('vm list')
  assert.match(out, /died\\x1b\[2J\\nHOST FAKED/)
  assert.match((await dialtone('vm show web')).out, /Reason: +died\\x1b\[2J\\nHOST FAKED\n/)
})

test('an error is a sentence and a next step, and exits with 1', async () => {
  const { code, out, err } = await dialtone('vm show nobody')
  assert.equal(code, 1)
  assert.equal(out, '')
  assert.equal(err, 'error: There is no VM nobody.\nList the objects to see what exists.\n')
})

test('with --json an error is the envelope on standard error', async () => {
  const { code, out, err } = await dialtone('vm show nobody --json')
  assert.equal(code, 1)
  assert.equal(out, '')
  assert.deepEqual(JSON.parse(err), {
    error: {
      code: 'not-found',
      message: 'There is no VM nobody.',
      next: 'List the objects to see what exists.',
      retryable: false,
    },
  })
})

test('a VM that fits nowhere is refused with the verdict of each host', async () => {
  terminal.standIn.situation.refusal = new DialtoneError('no-host-fits', 'No host has room for big.', {
    detail: { verdicts: [{ hostName: 'node1', fits: false, reason: 'It has 128 MiB free.' }] },
  })
  const { code, err } = await dialtone('vm create big --template tiny --memory 64G')
  assert.equal(code, 1)
  assert.match(
    err,
    /^error: No host has room for big\.\nFree capacity.*\nHOST +FITS +REASON\nnode1 +no +It has 128 MiB free\.\n$/,
  )
})

test('wrong usage exits with 2 and says what is wrong', async () => {
  const mistakes = [
    ['vm create web', /required option '--template <template>' not specified\nSee dialtone help vm\./],
    ['vm create web --template tiny --memory lots', /'lots' is not one/],
    ['vm lst', /Did you mean list\?/],
    ['machine list', /unknown command 'machine'\nSee dialtone help\./],
    ['host fence node1', /either --agent .* or --none/],
    ['--server somewhere vm list', /'somewhere' is not the address of a server/],
  ] as const
  const tried = mistakes.map(async ([words, sentence]) => {
    const { code, err } = await dialtone(words)
    assert.equal(code, 2, words)
    assert.match(err, sentence)
  })
  await Promise.all(tried)
})

test('a controller that cannot be reached exits with 3', async () => {
  const { code, err } = await dialtone('vm list --server http://127.0.0.1:9')
  assert.equal(code, 3)
  assert.match(err, /^error: The server http:\/\/127\.0\.0\.1:9 cannot be reached/)
})

test('where no laboratory runs, that is said with how to start one', async () => {
  const { code, err } = await dialtone('vm list --lab lab')
  assert.equal(code, 3)
  assert.match(err, /^error: No laboratory runs here: start one with dialtone up\.\n/)
})

test('the only laboratory that answers is chosen, with its own token', async () => {
  for (const [name, apiUrl] of [
    ['dead', 'http://127.0.0.1:9'],
    ['alive', terminal.standIn.baseUrl],
  ] as const) {
    await mkdir(join(terminal.home, 'labs', name, 'controller'), { recursive: true })
    await writeFile(join(terminal.home, 'labs', name, 'lab.json'), JSON.stringify({ apiUrl }))
    await writeFile(join(terminal.home, 'labs', name, 'controller', 'admin-token'), `${standInToken}\n`)
  }
  // Without DIALTONE_SERVER; the token of another server is not sent to a laboratory.
  const environment = { DIALTONE_SERVER: '', DIALTONE_TOKEN: 'of another server' }
  const chosen = await dialtone('vm list', { environment })
  assert.equal(chosen.code, 0, chosen.err)
  const other = await dialtone('vm list', { environment: { ...environment, DIALTONE_LAB: 'dead' } })
  assert.equal(other.code, 3)
  assert.match(other.err, /^error: The laboratory dead cannot be reached.*\nLook whether it runs: dialtone status/)
  await rm(join(terminal.home, 'labs'), { recursive: true })
})

test('without a terminal nothing is destroyed unless --yes is given', async () => {
  const tried = ['vm delete web', 'host confirm-dead node1', 'host delete node1'].map(async (words) => {
    const { code, err } = await dialtone(words, { input: 'yes\nweb\nnode1\n' })
    assert.equal(code, 1, words)
    assert.match(err, /^error: Nothing was done: .*\nRepeat the command with --yes if you mean it\.\n$/)
  })
  await Promise.all(tried)
  assert.deepEqual(terminal.standIn.situation.changes, [])
  assert.equal((await dialtone('vm delete web --yes')).out, 'web is deleted.\n')
  assert.equal((await dialtone('host confirm-dead node1 --yes')).code, 0)
  assert.deepEqual(terminal.standIn.situation.changes, ['delete web', 'confirm-dead node1'])
})

test('a task is followed to its end over a stream that is cut again and again', async () => {
  terminal.standIn.situation.taskChanges = [
    { steps: step('place'), progress: 0.2 },
    { steps: step('volume'), progress: 0.5 },
    { steps: step('start'), progress: 0.8 },
    succeeded,
  ]
  terminal.standIn.situation.streamsToCut = 2
  const { code, out, err } = await dialtone('vm create web --template tiny --disk 64MiB,raw')
  assert.equal(code, 0, err)
  assert.equal(terminal.standIn.situation.streamsOpened, 3)
  assert.deepEqual(
    err.split('\n').filter((line) => line.startsWith('vm.create web: 1/1')),
    ['vm.create web: 1/1 place', 'vm.create web: 1/1 volume', 'vm.create web: 1/1 start'],
  )
  assert.equal(out, 'web is running on node1 (10.20.0.11).\n')
})

test('with --json a followed task prints only the final object', async () => {
  const { out, err } = await dialtone('vm start web --json')
  assert.equal(err, '')
  const answer = JSON.parse(out)
  assert.deepEqual([answer.vm.name, answer.task.state], ['web', 'succeeded'])
})

test('--detach returns while the task goes on', async () => {
  const { code, out } = await dialtone('vm stop web --detach')
  assert.equal(code, 0)
  assert.equal(out, 'Task task-aaaaaaaa has begun. Watch it: dialtone task watch task-aaaaaaaa.\n')
  assert.equal(terminal.standIn.situation.streamsOpened, 0)
})

test('a move goes where it fits best, or to the host that is named, and says what it was like', async () => {
  terminal.standIn.situation.taskChanges = [{ ...succeeded, message: 'moved from node1 to node2 in 812 ms' }]
  assert.equal((await dialtone('vm migrate web')).out, 'web: moved from node1 to node2 in 812 ms.\n')
  assert.match((await dialtone('vm migrate web --to node2 --no-watch')).out, /^Task task-aaaaaaaa has begun\./)
  assert.deepEqual(terminal.standIn.situation.changes, ['migrate anywhere web', 'migrate node2 web'])
})

test('a volume is named by its VM, listed with its storage, and moved to another one', async () => {
  assert.match((await dialtone('volume list')).out, /^web:0 +vol-\w+ +shared +qcow2 /m)
  terminal.standIn.situation.taskChanges = [{ ...succeeded, message: 'moved from shared to fast' }]
  assert.equal((await dialtone('volume move web:0 --to fast')).out, 'web:0: moved from shared to fast.\n')
  assert.equal((await dialtone('volume move web:0')).code, 2)
  assert.deepEqual(terminal.standIn.situation.changes, ['move web:0 to fast'])
})

test('a task that fails is told with its own next step, and exits with 1', async () => {
  const error = { code: 'storage-failed', message: 'The disk of web could not be made.', next: 'Free some space.' }
  terminal.standIn.situation.taskChanges = [{ state: 'failed', error, endedAt: '2026-03-01T12:00:00.000Z' }]
  const { code, err } = await dialtone('vm start web')
  assert.equal(code, 1)
  assert.match(err, /error: The disk of web could not be made\.\nFree some space\.\n$/)
})

test('Ctrl-C leaves the task alone, says how to watch and cancel it, and exits with 130', async () => {
  terminal.standIn.situation.taskChanges = [
    { steps: step('place') },
    ...Array.from({ length: 500 }, () => ({ progress: 0.5 })),
    succeeded,
  ]
  const { code, err } = await dialtone('vm start web', { interruptAt: /1\/1 place/ })
  assert.equal(code, 130)
  assert.match(
    err,
    /The task goes on\. Watch it: dialtone task watch task-aaaaaaaa\. Stop it: dialtone task cancel task-aaaaaaaa\.\n$/,
  )
  assert.deepEqual(terminal.standIn.situation.changes, ['start web'])
})

test('a console works between pipes', async () => {
  const { code, out } = await dialtone('vm console web --linger 1', { input: 'root\n' })
  assert.equal(code, 0)
  assert.equal(out, 'web login: root\n')
})

test('completion offers only the machines for which a verb makes sense', async () => {
  const vm = makeVmView()
  terminal.standIn.situation.vms = [vm, { ...vm, name: 'idle', status: { ...vm.status, state: 'stopped' } }]
  const candidates = async (...words: string[]) =>
    (await dialtone(`__complete -- ${words.join(' ')}`)).out.trimEnd().split('\n')
  const [toStart, toStop, hosts, verbs, words, options] = await Promise.all([
    candidates('vm', 'start', ''),
    candidates('vm', 'stop', ''),
    candidates('vm', 'create', 'new', '--host', ''),
    candidates('vm', ''),
    candidates(''),
    candidates('vm', 'create', '--'),
  ])
  assert.deepEqual([toStart, toStop, hosts], [['idle'], ['web'], ['node1']])
  assert.ok(verbs.includes('console') && words.includes('doctor') && options.includes('--template'))
})

test('help, version and the completion script exit with 0 and need no controller', async () => {
  const asked = ['help', '--help', 'help vm create', 'version', 'completion bash'].map(async (words) => {
    const { code, out, err } = await dialtone(words, { environment: { DIALTONE_SERVER: 'http://127.0.0.1:9' } })
    assert.deepEqual([code, err], [0, ''], words)
    assert.ok(out.length > 10)
  })
  await Promise.all(asked)
})

test('networks and network cards are listed, and what deletes one of them asks for its name', async () => {
  const [networks, nics, unasked, deleted] = await Promise.all([
    dialtone('network list'),
    dialtone('nic list web'),
    dialtone('network delete dev'),
    dialtone('network delete dev --yes'),
  ])
  assert.match(networks.out, /\ndev +vxlan 1000 +10\.5\.0\.0\/24 +- +nat +dev\.internal +1 +node1\n$/)
  assert.match(nics.out, /\n0 +flat +52:54:00:00:00:01 +10\.20\.0\.11 +-\n$/)
  assert.notEqual(unasked.code, 0)
  assert.match(unasked.err, /--yes/)
  assert.deepEqual([deleted.code, deleted.out], [0, 'Network dev is deleted.\n'])
})
