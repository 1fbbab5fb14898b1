import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bootsAtMost, failuresAtMost, type LadderQuestion, nextStep, planLadder, type RungAttempt } from './ladder.ts'
import { emptyStatistics, type LadderStatistics, noteOutcome, type RungOutcome } from './ladder-statistics.ts'
import type { FailureCause, Rung } from './recovery-policy.ts'

const second = 1_000
const startMs = 1_000_000

function ask(changes: Partial<LadderQuestion> = {}): LadderQuestion {
  return {
    recovery: { mode: 'warm' },
    cause: 'process-died',
    unavailable: {},
    attempts: [],
    failureTimesMs: [startMs],
    statistics: emptyStatistics,
    mayRebuildRoot: false,
    nowMs: startMs,
    ...changes,
  }
}
/** What is tried in which order when everything fails. */
function rungsOf(changes: Partial<LadderQuestion>): readonly Rung[] {
  return planLadder(ask(changes)).flatMap((step) => (step.kind === 'try' ? [step.rung] : []))
}
function endOf(changes: Partial<LadderQuestion>): string {
  const last = planLadder(ask(changes)).at(-1)
  assert.ok(last?.kind === 'needs-person')
  return last.reason
}
function measured(outcome: RungOutcome, times: number, before = emptyStatistics): LadderStatistics {
  return Array.from({ length: times }, () => outcome).reduce(noteOutcome, before)
}

/** A machine that is cured by whatever is tried, and fails again after `holdsMs`; until a person is asked, or 100 failures. */
function loop(holdsMs: number, changes: Partial<LadderQuestion> = {}) {
  const tried: { readonly rung: Rung; readonly waitMs: number }[] = []
  const attempts: RungAttempt[] = []
  const failureTimesMs: number[] = []
  for (let nowMs = startMs; failureTimesMs.length < 100; nowMs += holdsMs) {
    failureTimesMs.push(nowMs)
    const step = nextStep(ask({ ...changes, attempts, failureTimesMs, nowMs }))
    if (step.kind === 'needs-person') return { tried, reason: step.reason }
    tried.push(step)
    const beganAtMs = nowMs + step.waitMs
    nowMs = beganAtMs + 100
    attempts.push({ rung: step.rung, beganAtMs, endedAtMs: nowMs, isCured: true })
  }
  return { tried, reason: '' }
}

describe('a machine with an image whose process dies', () => {
  test('is resumed here at once', () => {
    const step = nextStep(ask())
    assert.ok(step.kind === 'try')
    assert.deepEqual([step.rung, step.waitMs, step.expectedMs], ['resume-here', 0, 150])
    assert.equal(step.reason, 'resume-here cures it with a chance of 95 % in about 150 ms (assumed)')
  })

  test('is resumed twice, then on another host, then booted twice, and then a person hears what was tried and where to look', () => {
    assert.deepEqual(rungsOf({}), ['resume-here', 'resume-here', 'resume-elsewhere', 'boot', 'boot'])
    assert.equal(
      endOf({}),
      "needs a person: in vain: resume-here 2 times, resume-elsewhere once, boot 2 times. Look at the log of its process on its host, and whether the host's memory was used up; then dialtone vm recover.",
    )
  })

  test('whose image fails waits only before it repeats something: another rung begins at once', () => {
    const waits = planLadder(ask()).flatMap((step) => (step.kind === 'try' ? [step.waitMs] : []))
    assert.deepEqual(waits, [0, 250, 250, 250, 1_000])
  })

  test('goes to another host first, once resuming here was measured to fail slowly', () => {
    const statistics = measured({ cause: 'process-died', rung: 'resume-here', isCured: false, tookMs: 20_000 }, 3)
    assert.equal(rungsOf({ statistics })[0], 'resume-elsewhere')
  })

  test('is resumed before it is booted even where booting was measured to be faster: its owner declared so', () => {
    const fastBoot = measured({ cause: 'process-died', rung: 'boot', isCured: true, tookMs: 1 }, 20)
    const failing = { cause: 'process-died', rung: 'resume-here', isCured: false, tookMs: 60_000 } as const
    const statistics = measured(failing, 20, fastBoot)
    const noOther = { 'resume-elsewhere': 'no other host has room' }
    assert.deepEqual(rungsOf({ statistics, unavailable: noOther }), ['resume-here', 'boot', 'boot', 'resume-here'])
  })
})

describe('a machine whose image cannot be used', () => {
  const unavailable = { 'resume-here': 'there is no image of it', 'resume-elsewhere': 'it may run on this host only' }

  test('is booted at once, and the end says why it was not resumed', () => {
    assert.deepEqual(rungsOf({ unavailable }), ['boot', 'boot'])
    assert.match(
      endOf({ unavailable }),
      /in vain: boot 2 times; resume-here is not possible: there is no image of it; resume-elsewhere is not possible/,
    )
  })

  test('goes back to resuming when an image is there again', () => {
    const attempts = [{ rung: 'boot', beganAtMs: startMs, endedAtMs: startMs + 1, isCured: false }] as const
    const step = nextStep(ask({ attempts }))
    assert.ok(step.kind === 'try' && step.rung === 'resume-here')
  })
})

describe('what the owner declared', () => {
  test('boot: it is never resumed, whatever fails', () => {
    for (const cause of ['process-died', 'guest-panicked', 'guest-hung', 'host-died'] as const)
      assert.deepEqual(rungsOf({ recovery: { mode: 'boot' }, cause }), ['boot', 'boot'])
  })

  test('checkpoint: it is resumed like a warm one, and booted when that has failed', () => {
    const recovery = { mode: 'checkpoint', everySeconds: 60, keep: 2 } as const
    assert.deepEqual(rungsOf({ recovery }), rungsOf({}))
  })

  test('the root disk is rebuilt only where that was allowed, and last of all', () => {
    assert.ok(!rungsOf({}).includes('rebuild-root'))
    assert.equal(rungsOf({ mayRebuildRoot: true }).at(-1), 'rebuild-root')
    const cheap = measured({ cause: 'process-died', rung: 'rebuild-root', isCured: true, tookMs: 1 }, 20)
    assert.equal(rungsOf({ mayRebuildRoot: true, statistics: cheap }).at(-1), 'rebuild-root')
  })
})

describe('wrong answers', () => {
  const wrong = { cause: 'wrong-answers', recovery: { mode: 'boot' } } as const

  test('of a machine that boots are first met in the guest, where nothing is lost', () => {
    assert.deepEqual(rungsOf(wrong), ['restart-in-guest', 'restart-in-guest', 'boot', 'boot'])
  })

  test('of a machine with an image are met in the guest as soon as that was measured to be the sooner cure', () => {
    assert.equal(rungsOf({ cause: 'wrong-answers' })[0], 'resume-here')
    const quick = measured({ cause: 'wrong-answers', rung: 'restart-in-guest', isCured: true, tookMs: 40 }, 10)
    const slow = { cause: 'wrong-answers', rung: 'resume-here', isCured: true, tookMs: 2_000 } as const
    assert.equal(rungsOf({ cause: 'wrong-answers', statistics: measured(slow, 10, quick) })[0], 'restart-in-guest')
  })

  test('are the only failure that is met in the guest', () => {
    const others: readonly FailureCause[] = ['process-died', 'guest-panicked', 'guest-hung', 'storage-lost', 'unknown']
    for (const cause of others) assert.ok(!rungsOf({ cause }).includes('restart-in-guest'), cause)
  })

  test('that come back within half a minute of a restart in the guest lead to the next rung', () => {
    assert.deepEqual(
      loop(5 * second, wrong)
        .tried.slice(0, 3)
        .map(({ rung }) => rung),
      ['restart-in-guest', 'restart-in-guest', 'boot'],
    )
  })
})

describe('a lost host', () => {
  test('leads to another one: from the image there, or by booting', () => {
    assert.deepEqual(rungsOf({ cause: 'host-died' }), ['resume-elsewhere', 'boot', 'boot'])
    assert.deepEqual(rungsOf({ cause: 'host-died', unavailable: { 'resume-elsewhere': 'no image' } }), ['boot', 'boot'])
  })

  test('asks for a person at once when nothing can take its machine', () => {
    const nobody = 'no other host has room for it'
    const unavailable = { 'resume-elsewhere': nobody, boot: nobody }
    assert.match(
      endOf({ cause: 'host-died', unavailable }),
      /nothing could be tried; resume-elsewhere .* no other host/,
    )
    assert.deepEqual(rungsOf({ cause: 'host-died', unavailable }), [])
  })
})

describe('a machine that fails again as soon as it is cured', () => {
  test('is resumed twice, moved, then booted with growing waits, and then a person is asked', () => {
    const { tried, reason } = loop(second)
    assert.deepEqual(
      tried.map(({ rung }) => rung),
      ['resume-here', 'resume-here', 'resume-elsewhere', 'boot', 'boot', 'boot', 'boot', 'boot'],
    )
    assert.deepEqual(
      tried.map(({ waitMs }) => waitMs),
      [0, 250, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000],
    )
    assert.match(reason, /it failed 9 times within 10 minutes; in vain: resume-here 2 times, .*boot 5 times/)
  })

  test('and only boots, gets as many boots as it may fail within ten minutes', () => {
    const { tried } = loop(second, { recovery: { mode: 'boot' } })
    assert.equal(tried.length, failuresAtMost)
    assert.ok(failuresAtMost <= bootsAtMost)
  })

  test('but only every minute and a half, is not resumed for ever: it is booted, and in the end a person is asked', () => {
    const { tried, reason } = loop(90 * second)
    assert.deepEqual(
      tried.slice(0, 5).map(({ rung }) => rung),
      ['resume-here', 'resume-here', 'resume-here', 'resume-elsewhere', 'boot'],
    )
    assert.match(reason, /needs a person/)
  })

  test('but only after two minutes of calm, is recovered at once every time', () => {
    const { tried } = loop(121 * second)
    assert.equal(tried.length, 100)
    assert.ok(tried.every(({ rung, waitMs }) => rung === 'resume-here' && waitMs === 0))
  })
})

test('a cure of less than two minutes does not make the waits shorter again', () => {
  const tried = (rung: Rung, atSecond: number, isCured = false): RungAttempt => {
    const atMs = startMs + atSecond * second
    return { rung, beganAtMs: atMs, endedAtMs: atMs, isCured }
  }
  const inVain = [tried('resume-here', 0), tried('resume-here', 1), tried('boot', 2), tried('resume-elsewhere', 4)]
  const attempts = [...inVain, tried('boot', 5, true)]
  const nowMs = startMs + 60 * second
  const step = nextStep(ask({ attempts, failureTimesMs: [startMs, nowMs], nowMs }))
  assert.ok(step.kind === 'try')
  assert.deepEqual([step.rung, step.waitMs], ['resume-here', 2_000])
})

test('a retry says how often it has failed and what was tried', () => {
  const attempts = [{ rung: 'resume-here', beganAtMs: startMs, endedAtMs: startMs + 100, isCured: true }] as const
  const nowMs = startMs + 5 * second
  const step = nextStep(ask({ attempts, failureTimesMs: [startMs, nowMs], nowMs }))
  assert.ok(step.kind === 'try')
  assert.match(step.reason, /tried in vain: resume-here once; waits 250 ms, as it has failed 2 times in a row$/)
})
