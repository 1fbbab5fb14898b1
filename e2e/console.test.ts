/** The console in a real browser, against a simulated cloud behind the real API. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { type LiveCloud, startLiveCloud } from '../src/sim/live/live-cloud.ts'
import { livePassword, seedCloud } from '../src/sim/live/seed-cloud.ts'
import { isThorough } from './is-thorough.ts'
import { openBrowser } from './open-browser.ts'

const looks = [
  { name: 'light and wide', colorScheme: 'light', size: { width: 1440, height: 900 } },
  { name: 'dark and narrow', colorScheme: 'dark', size: { width: 360, height: 780 } },
] as const
const pages = [
  '/',
  '/machines',
  '/machines/web-1',
  '/create',
  '/hosts',
  '/topology',
  '/recovery',
  '/availability',
  '/storage',
  '/networks',
  '/templates',
  '/tasks',
  '/events',
  '/doctor',
  '/settings',
]
const withinMs = 10_000

let cloud: LiveCloud
let browser: Browser
let axe: string

before(async () => {
  axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  const world = await seedCloud({ seed: 7, hosts: 4, pastMs: 5_000 })
  cloud = await startLiveCloud(world, 0)
  browser = await openBrowser()
})

after(async () => {
  await browser?.close()
  await cloud?.[Symbol.asyncDispose]()
})

type Visit = { readonly page: Page; readonly context: BrowserContext; readonly complaints: string[] }

/** Of who has signed in by the form once. */
const sessions = new Map<string, Awaited<ReturnType<BrowserContext['storageState']>>>()

/** A browser of its own, signed in. `complaints`: what the browser itself found wrong, such as a script that the policy forbids. */
async function signIn(userName: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<Visit> {
  const session = sessions.get(userName)
  const context = await browser.newContext({ ...options, ...(session === undefined ? {} : { storageState: session }) })
  context.setDefaultTimeout(withinMs)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('status of 401')) complaints.push(message.text())
  })
  if (session === undefined) {
    await page.goto(cloud.url)
    await page.getByLabel('User name').fill(userName)
    await page.getByLabel('Password', { exact: true }).fill(livePassword)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
    sessions.set(userName, await context.storageState())
  }
  return { page, context, complaints }
}

async function untilTasksEnd(): Promise<void> {
  const isUnderWay = () => [...cloud.world.state().tasks.values()].some(({ endedAt }) => endedAt === null)
  for (let turn = 0; isUnderWay(); turn += 1) {
    assert.ok(turn < 200, 'tasks end')
    await delay(50)
  }
}

async function findViolations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe)
  const found = await page.evaluate<{ id: string; nodes: { html: string; failureSummary: string }[] }[]>(
    'axe.run(document, { preload: false, resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }).then(({ violations }) => violations)',
  )
  return found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`)
}

test('every page is without a violation of WCAG 2.2 AA, light and wide, dark and narrow', async () => {
  const { page, context, complaints } = await signIn('admin', { reducedMotion: 'reduce' })
  for (const [index, path] of pages.entries()) {
    await page.goto(`${cloud.url}${path}`)
    await page.getByRole('heading', { level: 1 }).first().waitFor()
    // Each page is looked at one way or the other, and in the long form both ways.
    for (const { name, colorScheme, size } of isThorough ? looks : looks.slice(index % 2).slice(0, 1)) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize(size)
      assert.deepEqual(await findViolations(page), [], `${path}, ${name}`)
    }
  }
  assert.deepEqual(complaints, [])
  await context.close()
})

test('a machine is found, stopped with a question, and started; what cannot be done says why', async () => {
  const { page, context, complaints } = await signIn('olga')
  await page.goto(cloud.url)
  await page.getByRole('link', { name: 'Machines', exact: true }).click()
  await page.getByLabel('Search machines').fill('cache-1')
  await page.getByText('1 of 24 machines').waitFor()
  assert.match(page.url(), /q=cache-1/, 'the view can be sent to somebody')
  await page.getByRole('link', { name: 'cache-1' }).click()
  await page.getByRole('button', { name: 'Stop', exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click()
  await page.locator('.state', { hasText: 'stopped' }).first().waitFor()
  await page.getByRole('button', { name: /^Stop: cache-1 is stopped already/ }).waitFor()
  await page.getByRole('button', { name: 'Start', exact: true }).click()
  await page.locator('.state', { hasText: 'running' }).first().waitFor()
  assert.deepEqual(complaints, [])
  await context.close()
})

test('a serial console goes on while its machine moves; a web socket without a ticket is refused', async () => {
  const { page, context, complaints } = await signIn('olga')
  await page.goto(`${cloud.url}/machines/web-3`)
  const console = page.getByRole('region', { name: 'Serial console' })
  await console.getByRole('button', { name: 'Open' }).click()
  await console.getByText('Connected.').waitFor()
  const screen = console.locator('.xterm-rows')
  // A simulated guest repeats what is typed, and at a question mark what it read last.
  await page.keyboard.type('ab')
  await screen.filter({ hasText: 'ab' }).waitFor()
  const before = [...cloud.world.state().vms.values()].find(({ spec }) => spec.name === 'web-3')?.placement?.hostId
  await page.getByRole('button', { name: 'Migrate', exact: true }).click()
  await page.locator('.events li', { hasText: 'vm.migrated' }).first().waitFor({ timeout: 20_000 })
  const after = [...cloud.world.state().vms.values()].find(({ spec }) => spec.name === 'web-3')?.placement?.hostId
  assert.notEqual(after, before)
  await console.locator('.xterm-helper-textarea').focus()
  await page.keyboard.type('?c')
  await screen.filter({ hasText: 'abbc' }).waitFor()
  assert.deepEqual(complaints, [])
  const address = `${cloud.url.replace('http', 'ws')}/v1/vms/web-3/console`
  const socket = await page.evaluate(
    (url) =>
      new Promise((resolve) => {
        const opened = new WebSocket(url)
        opened.addEventListener('open', () => resolve('open'))
        opened.addEventListener('error', () => resolve('refused'))
      }),
    address,
  )
  assert.equal(socket, 'refused')
  await context.close()
})

test('a machine goes back to a snapshot, and its present is kept', async () => {
  const { page, context, complaints } = await signIn('olga')
  await page.goto(`${cloud.url}/machines/worker-1`)
  const snapshots = page.getByRole('region', { name: 'Snapshots' })
  await snapshots.getByRole('button', { name: 'Take a snapshot' }).first().click()
  await snapshots.getByLabel('Name').fill('base')
  await snapshots.getByText('dialtone vm snapshot create worker-1 base').waitFor()
  await snapshots.locator('form').getByRole('button', { name: 'Take a snapshot' }).click()
  await snapshots.locator('.snapshot', { hasText: 'base' }).waitFor()
  // It is there before its task has ended, and nothing else works on the machine's disks until then.
  await untilTasksEnd()
  await snapshots.getByRole('button', { name: 'Go back' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Go back' }).click()
  await snapshots.locator('.snapshot', { hasText: 'before-base' }).waitFor({ timeout: 20_000 })
  assert.deepEqual(complaints, [])
  await context.close()
})

test('what a viewer may not do is greyed with the reason, and refused by the server all the same', async () => {
  const { page, context } = await signIn('vera')
  await page.goto(`${cloud.url}/machines/web-2`)
  await page.getByRole('button', { name: 'Stop: This needs the role operator; you have the role viewer.' }).waitFor()
  const status = await page.evaluate(async () => {
    const headers = { 'x-dialtone-console': '1', 'content-type': 'application/json' }
    return (await fetch('/v1/vms/web-2/stop', { method: 'POST', headers, body: '{}' })).status
  })
  assert.equal(status, 403)
  await context.close()
})

test('text of others is shown as text, whatever stands in it', async () => {
  const { page, context, complaints } = await signIn('admin')
  await page.goto(`${cloud.url}/events`)
  const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>\u202e\u001b[31m'
  void cloud.world.engine().leader.events.record({ kind: 'test.hostile', subject: '<b>bold</b>', message: hostile })
  const row = page.locator('.events li', { hasText: 'test.hostile' })
  await row.waitFor()
  assert.match(await row.innerText(), /<b>bold<\/b> <img src=x onerror="document.title=1">.*\\u202e\\x1b\[31m/s)
  assert.equal(await page.title(), 'Events · Dialtone')
  assert.deepEqual(complaints, [])
  await context.close()
})

test('a host’s death is seen as it happens: the host, its machines elsewhere, the ledger', async () => {
  const { page, context } = await signIn('admin')
  await page.goto(`${cloud.url}/topology`)
  const machine = await page.locator('[data-host="node2"] [data-vm]').first().getAttribute('data-vm')
  assert.ok(machine !== null, 'node2 has a machine')
  const end = cloud.world.inject({ kind: 'power-off', host: 'node2', forMs: 60_000 })
  await page.locator('[data-host="node2"] .state', { hasText: /suspect|fenced/ }).waitFor()
  await page.locator(`[data-host]:not([data-host="node2"]) [data-vm="${machine}"]`).waitFor({ timeout: 30_000 })
  await page.goto(`${cloud.url}/machines/${machine}`)
  await page.getByText('host-died').nth(1).waitFor()
  end()
  await context.close()
})

test('a lost controller is said, and what has happened meanwhile is there once it is back', async () => {
  const { page, context } = await signIn('admin')
  await page.goto(cloud.url)
  await page.locator('.live-live').waitFor()
  // Longer than the figures' step: also nobody who measures them finds a leader.
  cloud.world.inject({ kind: 'controller-is-gone', forMs: 6_000 })
  await page.getByRole('alert').filter({ hasText: 'The controller does not answer' }).waitFor()
  await page.locator('.live-live').waitFor({ timeout: 20_000 })
  await context.close()
})
