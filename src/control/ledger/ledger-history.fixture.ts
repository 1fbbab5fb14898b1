/** Whole histories of a service, as agents and the controller would tell them: for tests of what always holds. */
import fc from 'fast-check'
import type { HostId } from '../../model/ids.ts'
import type { LedgerEntry } from '../../model/ledger/ledger-entry.ts'
import { iso, node1, node2, node3, type Story, tellStory } from './ledger.fixture.ts'

/** What happens next; `gapMs` after the last thing was over, and so long as `tookMs` says. */
export type Happening = {
  readonly kind: (typeof kinds)[number]
  readonly gapMs: number
  readonly tookMs: number
  readonly attempts: number
  readonly isWatched: boolean
}

const kinds = ['blip', 'kill', 'hang', 'drill', 'host-dies', 'stop', 'agent-restarts', 'disagree', 'cut-off'] as const

export const anyHappenings: fc.Arbitrary<readonly Happening[]> = fc.array(
  fc.record({
    kind: fc.constantFrom(...kinds),
    gapMs: fc.integer({ min: 60, max: 400 }),
    tookMs: fc.integer({ min: 30, max: 300 }),
    attempts: fc.integer({ min: 1, max: 3 }),
    isWatched: fc.boolean(),
  }),
  { maxLength: 10 },
)

type Told = { readonly entries: readonly LedgerEntry[]; readonly endMs: number }

/** Tells a service that began at 0 with a prober beside it, and everything that happened to it. */
export function tellHappenings(happenings: readonly Happening[]): Told {
  const story = tellStory()
  const lives = new Map<HostId, number>()
  const scene: Scene = { story, lives, homeId: node1, home: story.agent(node1), watcher: story.agent(node3), nowMs: 20 }
  scene.home.started(0, null)
  scene.home.began(5, 'own', false)
  scene.home.back(10, 'own', 8)
  scene.watcher.began(15, 'other', true)
  for (const happening of happenings) {
    scene.nowMs += happening.gapMs
    happenTo(scene, happening)
  }
  return { entries: story.entries, endMs: scene.nowMs + 50 }
}

type Scene = {
  readonly story: Story
  readonly lives: Map<HostId, number>
  homeId: HostId
  home: ReturnType<Story['agent']>
  readonly watcher: ReturnType<Story['agent']>
  nowMs: number
}

function happenTo(scene: Scene, happening: Happening): void {
  const { story, home, watcher, nowMs } = scene
  const { kind, tookMs, isWatched } = happening
  const endMs = nowMs + tookMs
  switch (kind) {
    case 'blip':
      home.lost(nowMs, 'own', nowMs - 20)
      home.back(endMs, 'own', endMs - 3)
      break
    case 'disagree':
      watcher.lost(nowMs, 'other', nowMs - 20)
      watcher.back(endMs, 'other', endMs - 3)
      break
    case 'drill':
      story.fact({ kind: 'drill-began', at: iso(nowMs - 2), drillId: 'task-aaaaaaaa', drill: 'kill-qemu' })
      fail(scene, happening)
      story.fact({ kind: 'drill-ended', at: iso(endMs + 4), drillId: 'task-aaaaaaaa', drill: 'kill-qemu' })
      break
    case 'kill':
    case 'hang':
      fail(scene, happening)
      break
    case 'host-dies':
      loseHost(scene, happening)
      break
    case 'stop':
      story.fact({ kind: 'planned-began', at: iso(nowMs), what: 'stop', user: null })
      home.ended(nowMs + 2, 'own')
      watcher.ended(nowMs + 2, 'other')
      home.tell(nowMs + 3, { kind: 'planned', what: 'stopped' })
      story.fact({ kind: 'planned-ended', at: iso(endMs - 10), what: 'stop', user: null })
      home.started(endMs - 5, null)
      home.began(endMs, 'own', true)
      watcher.began(endMs + 1, 'other', true)
      break
    case 'agent-restarts': {
      scene.home = nextLife(scene, scene.homeId)
      const session = scene.home.id
      story.fact({ kind: 'session-began', at: iso(endMs - 2), hostId: scene.homeId, session, lastHeardAt: iso(nowMs) })
      if (!isWatched) watcher.ended(nowMs, 'other')
      scene.home.began(endMs, 'own', true)
      if (!isWatched) watcher.began(endMs + 1, 'other', true)
      break
    }
    case 'cut-off':
      story.fact({ kind: 'host-suspect', at: iso(nowMs), hostId: scene.homeId, lastHeardAt: iso(nowMs - 15) })
      story.fact({ kind: 'host-heard', at: iso(endMs), hostId: scene.homeId })
      break
  }
  scene.nowMs = endMs + 10
}

function fail(scene: Scene, { kind, tookMs, attempts, isWatched }: Happening): void {
  const { home, watcher, nowMs } = scene
  const endMs = nowMs + tookMs
  if (kind === 'hang') home.lost(nowMs - 12, 'own', nowMs - 40)
  home.failed(nowMs, kind === 'hang' ? 'guest-hung' : 'process-died')
  if (kind !== 'hang') home.lost(nowMs + 1, 'own', nowMs - 31)
  if (isWatched) watcher.lost(nowMs + 5, 'other', nowMs - 10)
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const beganMs = nowMs + 6 + 7 * (attempt - 1)
    home.rung(beganMs, 'resume-here')
    home.started(beganMs + 3, 'resume-here')
    if (attempt === attempts) continue
    home.failed(beganMs + 5, 'process-died')
    home.rungEnded(beganMs + 5, 'resume-here', false)
  }
  home.back(endMs, 'own', endMs - 3)
  home.rungEnded(endMs, 'resume-here', true)
  if (isWatched) watcher.back(endMs + 2, 'other', endMs - 1)
}

function loseHost(scene: Scene, { tookMs, isWatched }: Happening): void {
  const { story, watcher, nowMs, homeId } = scene
  const endMs = nowMs + tookMs
  const toHostId = homeId === node1 ? node2 : node1
  if (isWatched) watcher.lost(nowMs + 5, 'other', nowMs - 7)
  else watcher.ended(nowMs - 2, 'other')
  story.fact({ kind: 'host-suspect', at: iso(nowMs + 8), hostId: homeId, lastHeardAt: iso(nowMs - 1) })
  story.fact({
    kind: 'host-proven-dead',
    at: iso(nowMs + 12),
    hostId: homeId,
    lastHeardAt: iso(nowMs - 1),
    proof: 'power',
  })
  story.fact({
    kind: 'decided',
    at: iso(nowMs + 13),
    fromHostId: homeId,
    toHostId,
    rung: 'resume-elsewhere',
    reason: '',
  })
  scene.homeId = toHostId
  scene.home = nextLife(scene, toHostId)
  scene.home.started(nowMs + 16, null)
  scene.home.began(nowMs + 18, 'own', false)
  scene.home.back(endMs, 'own', endMs - 3)
  if (isWatched) watcher.back(endMs + 2, 'other', endMs - 1)
  else watcher.began(endMs + 2, 'other', true)
}

function nextLife({ story, lives }: Scene, hostId: HostId): ReturnType<Story['agent']> {
  const life = (lives.get(hostId) ?? 1) + 1
  lives.set(hostId, life)
  return story.agent(hostId, life)
}
