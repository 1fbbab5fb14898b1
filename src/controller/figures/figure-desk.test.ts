import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hostIdOf, vmIdOf } from '../../model/cluster-state.fixture.ts'
import { type FigureReport, figureSpans, figuresEveryMs, noFigures } from '../../model/figures.ts'
import { createFigureDesk, wholeCluster } from './figure-desk.ts'
import { type FigureFiles, figureFilesInMemory, openFigureFiles } from './figure-files.ts'

const beganAtMs = Date.parse('2026-03-01T12:00:00.000Z')
const logger = { info: () => undefined, warn: () => assert.fail('nothing is warned of'), error: () => undefined }
const [ada, bob, web] = [hostIdOf('ada'), hostIdOf('bob'), vmIdOf('web')]
const busy = (cpuPercent: number) => ({ ...noFigures, cpuPercent })
const report = (host: number, machine?: number): FigureReport => ({
  host: busy(host),
  machines: machine === undefined ? [] : [{ vmId: web, figures: busy(machine) }],
})

function open(files: FigureFiles = figureFilesInMemory()) {
  const time = { nowMs: beganAtMs }
  return { time, desk: createFigureDesk({ files, logger, nowMs: () => time.nowMs }) }
}

async function inFolder(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-figures-'))
  try {
    await work(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

test('the cluster is the sum of its hosts that are heard of', async () => {
  const { desk, time } = open()
  desk.receive(bob, report(50))
  time.nowMs += figuresEveryMs
  desk.receive(ada, report(20, 10))
  assert.equal(desk.newest(wholeCluster)?.figures.cpuPercent, 70)
  time.nowMs += 60_000
  desk.receive(ada, report(20, 10))
  assert.equal(desk.newest(wholeCluster)?.figures.cpuPercent, 20, 'the other one was silent for a minute')
  assert.equal(desk.newest(bob), undefined)
  assert.deepEqual((await desk.history(web, 'hour')).values.cpuPercent, [10, 10])
})

test('minutes and hours outlive the controller, in files that do not grow beyond their ring', () =>
  inFolder(async (directory) => {
    const { desk, time } = open(openFigureFiles(directory))
    const hours = 5
    for (; time.nowMs < beganAtMs + hours * 3_600_000; time.nowMs += 60_000) desk.receive(ada, report(40))
    await desk.written()
    const next = open(openFigureFiles(directory))
    next.time.nowMs = time.nowMs
    const week = await next.desk.history(ada, 'week')
    assert.equal(week.timesMs.length, hours * 12 - 1, 'the step that had not ended is lost')
    assert.ok(week.values.cpuPercent.every((percent) => percent === 40))
    assert.equal((await next.desk.history(ada, 'year')).timesMs.length, 3, 'of 12:00 to 17:00: from 12, 14 and 16 on')
    assert.equal((await next.desk.history(ada, 'hour')).timesMs.length, 10, 'in place of the hour that was in memory')
    const { stepMs, spanMs } = figureSpans.week
    const { size } = await stat(join(directory, ada, 'week.ring'))
    assert.ok(size <= (spanMs / stepMs) * 36)
  }))

test('who is gone is forgotten, on the disk as well', () =>
  inFolder(async (directory) => {
    const files = openFigureFiles(directory)
    const { desk, time } = open(files)
    for (const _step of [1, 2]) {
      desk.receive(ada, report(1, 2))
      time.nowMs += figureSpans.week.stepMs
    }
    await desk.written()
    assert.deepEqual((await files.list()).toSorted(), [wholeCluster, ada, web].toSorted())
    await desk.keepOnly(new Set([ada]))
    assert.deepEqual((await files.list()).toSorted(), [wholeCluster, ada].toSorted())
    assert.equal((await desk.history(web, 'week')).timesMs.length, 0)
  }))

test('who follows hears of each point once, from where it was, until nobody listens', { timeout: 5_000 }, async () => {
  const { desk, time } = open()
  desk.receive(ada, report(1))
  const ending = new AbortController()
  const heard: number[] = []
  const following = (async () => {
    const news = desk.watch(() => [ada], { afterMs: beganAtMs - 1, signal: ending.signal })
    for await (const { figures } of news) {
      heard.push(figures.cpuPercent)
      if (heard.length < 3) {
        time.nowMs += figuresEveryMs
        setImmediate(() => desk.receive(ada, report(heard.length + 1)))
      } else ending.abort()
    }
  })()
  await following
  assert.deepEqual(heard, [1, 2, 3])
})
