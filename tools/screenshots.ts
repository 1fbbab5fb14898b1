/**
 * `npm run screenshots [-- --into FOLDER --only NAME]`: a picture of every page, light and dark, wide and narrow, of a simulated cloud with a
 * past. To be looked at.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { openBrowser } from '../e2e/open-browser.ts'
import { startLiveCloud } from '../src/sim/live/live-cloud.ts'
import { livePassword, seedCloud } from '../src/sim/live/seed-cloud.ts'

const shots: Readonly<Record<string, string>> = {
  overview: '/',
  machines: '/machines',
  machine: '/machines/web-1',
  create: '/create',
  hosts: '/hosts',
  topology: '/topology',
  recovery: '/recovery',
  availability: '/availability',
  storage: '/storage',
  networks: '/networks',
  templates: '/templates',
  tasks: '/tasks',
  events: '/events',
  doctor: '/doctor',
  settings: '/settings',
}
const looks = [
  { name: 'light', scheme: 'light', width: 1440, height: 900 },
  { name: 'dark', scheme: 'dark', width: 1440, height: 900 },
  { name: 'narrow', scheme: 'light', width: 360, height: 780 },
] as const

const { values } = parseArgs({
  options: { into: { type: 'string', default: 'dist/screenshots' }, only: { type: 'string' } },
})
await mkdir(values.into, { recursive: true })
const world = await seedCloud({ seed: 7, hosts: 6, pastMs: 10 * 60_000 })
await using cloud = await startLiveCloud(world, 0)
const browser = await openBrowser()
try {
  for (const look of looks) await shoot(browser, cloud.url, look)
} finally {
  await browser.close()
}

async function shoot(
  opened: Browser,
  url: string,
  { name, scheme, width, height }: (typeof looks)[number],
): Promise<void> {
  const context = await opened.newContext({ colorScheme: scheme, viewport: { width, height } })
  const page = await context.newPage()
  await page.goto(url)
  await page.getByLabel('User name').fill('admin')
  if (values.only === undefined) await page.screenshot({ path: join(values.into, `sign-in-${name}.png`) })
  await page.getByLabel('Password', { exact: true }).fill(livePassword)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
  for (const [shot, path] of Object.entries(shots)) {
    if (values.only !== undefined && values.only !== shot) continue
    await visit(page, `${url}${path}`)
    await page.screenshot({ path: join(values.into, `${shot}-${name}.png`), fullPage: true })
  }
  await context.close()
}

async function visit(page: Page, address: string): Promise<void> {
  await page.goto(address)
  await page.getByRole('heading', { level: 1 }).first().waitFor()
  // Answers that are asked for when the page is there.
  await page.waitForTimeout(700)
}
