/** What must hold of the sources as a graph: no cycles, and every file has a way to it from an entry. */
import type { Project, Violation } from './project.ts'

/**
 * Where the work begins: programs (`main.ts`, the console's `main.tsx`), generators run by hand (`generate-*.ts`), tests, and the files that lie
 * directly in recipes/ and tools/ (each a command).
 */
const entries = [/(?:^|\/)main\.tsx?$/, /(?:^|\/)generate-[^/]+\.ts$/, /^(?:recipes|tools)\/[^/]+\.(?:ts|mjs)$/]

export function findGraphViolations(project: Project): Violation[] {
  return [...findCycles(project), ...findDeadFiles(project)]
}

function findDeadFiles({ modules }: Project): Violation[] {
  const reached = new Set<string>()
  const waiting = [...modules.keys()].filter(
    (path) => entries.some((entry) => entry.test(path)) || path.endsWith('.test.ts'),
  )
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const module = modules.get(path)
    if (module === undefined || reached.has(path)) continue
    reached.add(path)
    waiting.push(...module.runs, ...module.imports.flatMap(({ file }) => file ?? []))
  }
  const dead = [...modules.keys()].filter((path) => !reached.has(path))
  return dead.map((path) => ({ rule: 'dead file', path, message: 'no program and no test comes to it' }))
}

/** Each import that leads back to a file whose imports are being followed closes a cycle. */
function findCycles({ modules }: Project): Violation[] {
  const finished = new Set<string>()
  const trail: string[] = []
  const violations: Violation[] = []
  const follow = (path: string) => {
    if (finished.has(path)) return
    trail.push(path)
    for (const { file, line } of modules.get(path)?.imports ?? []) {
      if (file === undefined) continue
      const start = trail.indexOf(file)
      if (start === -1) follow(file)
      else violations.push({ rule: 'cycle', path, line, message: [...trail.slice(start), file].join(' → ') })
    }
    trail.pop()
    finished.add(path)
  }
  for (const path of modules.keys()) follow(path)
  return violations
}
