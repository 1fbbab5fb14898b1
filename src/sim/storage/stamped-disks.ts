/** What the disks of a simulated world hold: of each file the newest stamp that has landed in it. Stamps grow over all guests. */

export type StampedDisks = {
  nextStamp(): number
  /** Writes land in any order: an older one doesn't undo a newer one. */
  land(path: string, stamp: number): void
  /** The newest stamp in any of these files; 0 when nothing was ever written there. */
  newest(paths: readonly string[]): number
}

export function createStampedDisks(): StampedDisks {
  const stamps = new Map<string, number>()
  let given = 0
  return {
    nextStamp: () => ++given,
    land: (path, stamp) => void stamps.set(path, Math.max(stamp, stamps.get(path) ?? 0)),
    newest: (paths) => Math.max(0, ...paths.map((path) => stamps.get(path) ?? 0)),
  }
}
