/** The commands of the ledger, as processes, against the real routes over HTTP. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ledgerRoutes } from '../model/api/ledger-routes.ts'
import { mountContract } from '../transport/mount-contract.ts'
import { listen, makeServer } from '../transport/serve.ts'
import { makeLedgerHandlers, standInOutage } from './stand-in/ledger-answers.ts'

const program = fileURLToPath(new URL('./main.ts', import.meta.url))
const withinMs = 10_000
const asked: string[] = []
const server = makeServer({ closeGraceMs: 100 })
let baseUrl: string

before(async () => {
  mountContract(server, ledgerRoutes, makeLedgerHandlers(asked), {
    identify: () => ({ name: 'admin', role: 'viewer' }),
    checkAnswers: true,
  })
  baseUrl = `http://127.0.0.1:${await listen(server, { host: '127.0.0.1', port: 0 })}`
})
after(() => server.close())

async function dialtone(words: string): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [program, ...words.split(' ')], {
    env: { ...process.env, DIALTONE_SERVER: baseUrl, DIALTONE_TOKEN: 'a-token-of-the-test' },
    timeout: withinMs,
  })
  const ending = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ending.out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ending.err += text
  })
  await once(child, 'close')
  return { code: child.exitCode, ...ending }
}

test('outages are a table, and the options are what is asked for', async () => {
  const { code, out, err } = await dialtone('outage list --service web --since 12h --no-drills')
  assert.equal(code, 0, err)
  assert.match(out, /^ID +SERVICE +AGE +DOWN +CAUSE +CURE/)
  assert.match(out, /\nout-aaaaaaaa-mf3k2j1a +web .* 81ms +process-died +resume-here/)
  assert.deepEqual(JSON.parse(asked.at(-1) ?? ''), {
    service: 'web',
    lastSeconds: 43_200,
    drills: 'none',
    limit: 1000,
  })
  await dialtone('outage list --drills')
  assert.equal(JSON.parse(asked.at(-1) ?? '').drills, 'only')
  await dialtone('outage list')
  assert.equal(JSON.parse(asked.at(-1) ?? '').drills, 'all')
})

test('an outage is shown with its bounds, a bar for each part and what was tried', async () => {
  const { code, out } = await dialtone(`outage show ${standInOutage.id}`)
  assert.equal(code, 0)
  assert.match(out, /Bounds: +between 63ms and 101ms/)
  assert.match(out, /Cause: +process-died: QEMU was killed by signal 9/)
  assert.match(out, /\n {2}detect +13ms +#+\n/)
  assert.match(out, /\n {2}fence +-\n/)
  assert.match(out, /\nresume-here +11:00:00\.014 +yes +67ms +from memory\n$/)
})

test('an outage that does not exist is refused with the next step', async () => {
  const { code, err } = await dialtone('outage show out-aaaaaaaa-nothing')
  assert.equal(code, 1)
  assert.match(err, /^error: There is no outage out-aaaaaaaa-nothing\.\n/)
})

test('the availability of a service names the failures that it rests on, and its interval', async () => {
  const { code, out } = await dialtone('availability web --since 1d')
  assert.equal(code, 0)
  assert.match(
    out,
    /Availability: +99\.9999062 % \(nines: 6\.0; from 1 failure, 95 % interval 99\.9050 % to 99\.999999500 %\)/,
  )
  assert.match(out, /Failures: +1, one in 23h 59m \(95 % interval 4h 18m to 947h/)
  assert.match(out, /Drills: +0; with 95 % one in 8h 00m or fewer\n/)
  assert.match(out, /Worst 1 min: +99\.865 %\n/)
  assert.equal(JSON.parse(asked.at(-1) ?? '').lastSeconds, 86_400)
})

test('all services are a table', async () => {
  const { out } = await dialtone('availability')
  assert.match(out, /^SERVICE +AVAILABILITY +NINES/)
  assert.match(out, /\nweb +99\.9999062 % +6\.0 +1 +81ms/)
})

test('CSV and JSON are for programs', async () => {
  const [outages, services, json] = await Promise.all(
    ['outage list --csv', 'availability --csv', 'outage list --json'].map(dialtone),
  )
  assert.match(outages?.out ?? '', /^id,service,.*\r\nout-aaaaaaaa-mf3k2j1a,vm-aaaaaaaa,web,process-died,/)
  assert.equal(services?.out.split('\r\n').length, 5)
  assert.deepEqual(JSON.parse(json?.out ?? ''), { outages: [standInOutage] })
})

test('a time that is none is wrong usage', async () => {
  const { code, err } = await dialtone('outage list --since yesterday')
  assert.equal(code, 2)
  assert.match(err, /It is written like 30d, 12h or 90m; 'yesterday' is not one\./)
})
