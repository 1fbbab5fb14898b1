/** Clock, timers, chance and the process come as arguments where decisions are taken. */
import { isTestFile, type Module, type Project, type Violation } from './project.ts'
import { lineAt } from './scan-source.ts'

const pureFolders = ['src/model/', 'src/control/', 'src/engine/']

/** Matched in code only: a comment may speak of them. `new Date(text)` only reads a time; `new Date()` asks for it. */
const platformUses = [
  /\bDate\.now\b/g,
  /\bnew\s+Date\s*\(\s*\)/g,
  /(?<!\bnew\s+)(?<![\w.])Date\s*\(/g,
  /\bMath\.random\b/g,
  /(?<![\w.])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/g,
  /\bperformance\.\w+/g,
  /(?<![\w.])process\.\w+/g,
  /\bcrypto\.\w+/g,
  /\bglobalThis\b/g,
]

export function findPlatformViolations({ modules }: Project): Violation[] {
  const pure = [...modules.values()].filter(
    ({ path }) => pureFolders.some((folder) => path.startsWith(folder)) && !isTestFile(path),
  )
  return pure.flatMap(usesOf)
}

function usesOf({ path, source, code }: Module): Violation[] {
  return platformUses.flatMap((use) =>
    [...code.matchAll(use)].map(({ 0: text, index }) => ({
      rule: 'platform',
      path,
      line: lineAt(source, index),
      message: `${text}: clock, timers, chance and the process come as arguments here`,
    })),
  )
}
