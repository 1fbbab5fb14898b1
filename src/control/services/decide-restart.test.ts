import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { RestartLessons } from '../../model/service/service.ts'
import { type ServiceFileInput, serviceFileSchema } from '../../model/service/service-file.ts'
import { chooseCell, levelsFor } from './choose-cell.ts'
import { type ComponentCondition, decideRestart, type RestartDecision, type RestartQuestion } from './decide-restart.ts'
import type { PastRestart } from './restart-history.ts'
import { estimateCell, noteRestart } from './restart-lessons.ts'
import { restartTreeOf } from './restart-tree.ts'

const tiny = { template: 'tiny', recovery: 'warm' } as const
const shop: ServiceFileInput = {
  service: 'shop',
  components: {
    db: tiny,
    cache: tiny,
    worker: { ...tiny, needs: ['cache'] },
    web: { ...tiny, needs: ['db'], replicas: 2 },
  },
  groups: [{ name: 'back', components: ['cache', 'worker'] }],
}
const file = serviceFileSchema.parse(shop)
const nowMs = 1_000_000
const serves: ComponentCondition = { isServing: true, failingForMs: 0, ownRecoveries: 0, obstacle: null }
const fails = (changes: Partial<ComponentCondition> = {}): ComponentCondition => ({
  ...{ isServing: false, failingForMs: 4_000, ownRecoveries: 1, obstacle: null },
  ...changes,
})
const past = (components: readonly string[], agoMs: number, isCured: boolean | null): PastRestart => ({
  ...{ taskId: 'task-aaaaaaaa', at: '', cell: 'x', reason: '', components, isCured },
  beganAtMs: nowMs - agoMs - 500,
  endedAtMs: isCured === null ? null : nowMs - agoMs,
})

function decide(
  failing: Readonly<Record<string, ComponentCondition>>,
  more: Partial<RestartQuestion> = {},
): RestartDecision {
  const names = Object.keys((more.file ?? file).components)
  const conditions = new Map(names.map((name) => [name, failing[name] ?? serves]))
  const question = { file, conditions, lessons: {}, restarts: [], oracle: { kind: 'learned' } as const, nowMs }
  return decideRestart({ ...question, ...more })
}
const restarted = (decision: RestartDecision) =>
  decision.kind === 'restart' ? decision.waves.map((wave) => wave.join('+')).join(', then ') : decision.kind

describe('a service', () => {
  test('in which all serves is left alone', () => {
    assert.equal(decide({}).kind, 'nothing')
  })

  test('whose component fails waits for that one’s own recovery, which is faster and disturbs nobody', () => {
    assert.equal(decide({ worker: fails({ failingForMs: 2_900, ownRecoveries: 0 }) }).kind, 'wait')
    assert.equal(decide({ worker: fails({ failingForMs: 3_100, ownRecoveries: 0 }) }).kind, 'restart')
    assert.equal(decide({ worker: fails({ failingForMs: 900 }) }).kind, 'wait', 'others may come to fail with it')
  })

  test('restarts, when its own recovery was in vain, the cell around it, what is needed first; no other component', () => {
    assert.equal(restarted(decide({ worker: fails() })), 'cache, then worker')
  })

  test('blames what is needed, not those that fail for want of it', () => {
    const decision = decide({ db: fails(), web: fails() })
    assert.ok(decision.kind === 'restart')
    assert.deepEqual(decision.suspects, ['db'])
  })

  test('restarts all replicas of a component together, when those that fail did not recover by themselves', () => {
    assert.equal(restarted(decide({ web: fails() })), 'web')
  })

  test('names the healthy ones that will miss answers', () => {
    const decision = decide({ db: fails({ ownRecoveries: 0 }) })
    assert.ok(decision.kind === 'restart')
    assert.deepEqual([restarted(decision), decision.neighbours], ['db', ['web']])
  })
})

describe('a failure', () => {
  test('that outlives a restart goes to the next larger cell, and after the whole service to a person', () => {
    const restarts = [past(['cache', 'worker'], 3_000, false)]
    assert.equal(
      restarted(decide({ worker: fails({ failingForMs: 9_000 }) }, { restarts })),
      'cache+db, then web+worker',
    )
    const all = [...restarts, past(['cache', 'db', 'web', 'worker'], 2_000, false)]
    const end = decide({ worker: fails({ failingForMs: 9_000 }) }, { restarts: all })
    assert.equal(end.kind, 'needs-person')
  })

  test('that comes back soon after a cure was not cured; one that comes later is a new one', () => {
    const soon = decide({ worker: fails() }, { restarts: [past(['cache', 'worker'], 20_000, true)] })
    assert.equal(restarted(soon), 'cache+db, then web+worker')
    const later = decide({ worker: fails() }, { restarts: [past(['cache', 'worker'], 60_000, true)] })
    assert.equal(restarted(later), 'cache, then worker')
  })

  test('that no restart can help is waited for: its host is silent, or it has no room', () => {
    const decision = decide({ worker: fails({ obstacle: 'shop-worker-1 is unknown: its host does not answer' }) })
    assert.deepEqual(decision, { kind: 'wait', reason: 'worker: shop-worker-1 is unknown: its host does not answer' })
  })

  test('near another one is treated with it: first the two cells, then the smallest that holds both', () => {
    const two = { worker: fails({ ownRecoveries: 0 }), db: fails({ ownRecoveries: 0 }) }
    const first = decide(two, { oracle: { kind: 'none' } })
    assert.equal(restarted(first), 'db, then worker')
    const restarts = [past(['db', 'worker'], 2_000, false)]
    const worse = { worker: fails({ failingForMs: 9_000 }), db: fails({ failingForMs: 9_000 }) }
    assert.equal(restarted(decide(worse, { restarts })), 'cache+db, then web+worker')
  })
})

describe('there is no storm', () => {
  test('one restart at a time', () => {
    assert.equal(decide({ worker: fails() }, { restarts: [past(['db'], 0, null)] }).kind, 'wait')
  })

  test('each further restart for one failure waits longer', () => {
    const deep = serviceFileSchema.parse({
      service: 'deep',
      components: { a: tiny, b: tiny, c: tiny, d: tiny },
      groups: [{ name: 'abc', components: ['c'], groups: [{ name: 'ab', components: ['a', 'b'] }] }],
    })
    const restarts = [past(['a', 'b'], 800, false)]
    assert.equal(decide({ a: fails({ failingForMs: 9_000 }) }, { file: deep, restarts }).kind, 'wait')
    const twice = [past(['a', 'b'], 6_000, false), past(['a', 'b', 'c'], 4_000, false)]
    assert.equal(decide({ a: fails({ failingForMs: 9_000 }) }, { file: deep, restarts: twice }).kind, 'wait')
  })

  test('eight restarts within ten minutes ask for a person, whatever they cured', () => {
    const restarts = Array.from({ length: 8 }, (_, index) => past(['db'], 500_000 - index * 50_000, true))
    assert.equal(decide({ worker: fails() }, { restarts }).kind, 'needs-person')
  })

  test('escalation ends, whatever fails and whatever was restarted in vain', () => {
    for (const failing of ['db', 'cache', 'worker', 'web']) {
      const restarts: PastRestart[] = []
      for (let attempt = 0; ; attempt += 1) {
        assert.ok(attempt < 5, `${failing} is restarted without end`)
        const at = nowMs + attempt * 60_000
        const conditions = { [failing]: fails({ failingForMs: at - nowMs + 5_000 }) }
        const decision = decide(conditions, { restarts, nowMs: at })
        if (decision.kind !== 'restart') {
          assert.equal(decision.kind, 'needs-person')
          break
        }
        assert.ok(decision.waves.flat().includes(failing))
        restarts.push({ ...past(decision.waves.flat(), 0, false), beganAtMs: at, endedAtMs: at + 500 })
      }
    }
  })
})

describe('the choice of a cell', () => {
  const tree = restartTreeOf(file)
  const levels = levelsFor(tree, ['worker'])
  const estimatesFrom = (lessons: RestartLessons) =>
    levels.map(({ name }, level) => estimateCell(lessons, { symptom: 'worker', cell: name, level, priorMs: 400 }))
  const learnFrom = (times: number, cure: number): RestartLessons => {
    let lessons: RestartLessons = {}
    for (let time = 0; time < times; time += 1) {
      let failedLevel = -1
      for (;;) {
        const choice = chooseCell(levels, {
          estimates: estimatesFrom(lessons),
          failedLevel,
          oracle: { kind: 'learned' },
        })
        assert.ok(choice)
        const isCured = choice.level >= cure
        const outcome = { symptom: 'worker', levels: levels.map(({ name }) => name), ...choice, failedLevel }
        lessons = noteRestart(lessons, { ...outcome, isCured, tookMs: 400 })
        if (isCured) break
        failedLevel = choice.level
      }
    }
    return lessons
  }
  const first = (lessons: RestartLessons) =>
    chooseCell(levels, { estimates: estimatesFrom(lessons), failedLevel: -1, oracle: { kind: 'learned' } })?.level

  test('without an oracle is the smallest; a perfect one knows', () => {
    const estimates = estimatesFrom({})
    assert.equal(chooseCell(levels, { estimates, failedLevel: -1, oracle: { kind: 'none' } })?.level, 0)
    const perfect = { kind: 'perfect', cure: ['worker', 'db'] } as const
    assert.equal(chooseCell(levels, { estimates, failedLevel: -1, oracle: perfect })?.level, 2)
    assert.equal(chooseCell(levels, { estimates, failedLevel: 2, oracle: { kind: 'none' } }), undefined)
  })

  test('learns which cell cures a symptom, and begins with it', () => {
    for (const cure of [0, 1, 2]) assert.equal(first(learnFrom(12, cure)), cure, `cured by level ${cure}`)
  })

  test('gives a large cell no credit for what a smaller one would have cured as well', () => {
    const estimates = estimatesFrom(learnFrom(12, 0))
    assert.ok((estimates[0]?.chance ?? 0) > 0.8)
    const names = levels.map(({ name }) => name)
    const atOnce = noteRestart(
      {},
      { symptom: 'worker', levels: names, level: 2, failedLevel: -1, isCured: true, tookMs: 9 },
    )
    const credit = (name: string) => atOnce['worker']?.[name]?.cures ?? 0
    assert.ok(credit('worker') > 0.3 && credit('back') > credit('shop'), JSON.stringify(atOnce))
  })

  test('of a service of a thousand components in a deep tree is on one path only', () => {
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`c${index}`, tiny]))
    const groups = Array.from({ length: 100 }, (_, group) => ({
      name: `g${group}`,
      components: Array.from({ length: 10 }, (_, index) => `c${group * 10 + index}`),
    }))
    const large = serviceFileSchema.parse({ service: 'large', components: many, groups })
    assert.equal(restarted(decide({ c17: fails() }, { file: large })).split('+').length, 10)
  })
})
