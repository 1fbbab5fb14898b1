/** The sources as the rules see them: every file with its imports, resolved inside the project. */
import { dirname, normalize } from 'node:path/posix'
import { lineAt, type ScannedSource, type StringLiteral, scanSource } from './scan-source.ts'

export type Import = {
  /** As written. */
  readonly specifier: string
  /** The file of the project that it names; undefined for packages, `node:` modules and files that do not exist. */
  readonly file: string | undefined
  readonly line: number
}

export type Module = {
  readonly path: string
  readonly source: string
  readonly code: string
  readonly imports: readonly Import[]
  /** Sources that it names in strings, to run them as processes or threads: `new URL('./thread.ts', …)`. */
  readonly runs: readonly string[]
}

export type Project = {
  readonly modules: ReadonlyMap<string, Module>
  /** All other files that a rule reads (`README.md`, `docs/specification.md`), by path. */
  readonly texts: ReadonlyMap<string, string>
}

export type Violation = {
  readonly rule: string
  readonly path: string
  readonly line?: number
  readonly message: string
}

export const sourceName = /\.(?:ts|mts|tsx|mjs)$/

/** `files`: content by path from the project's root. */
export function createProject(files: ReadonlyMap<string, string>): Project {
  const modules = new Map<string, Module>()
  const texts = new Map<string, string>()
  for (const [path, source] of files) {
    if (sourceName.test(path) && !path.endsWith('.d.ts')) modules.set(path, createModule(path, source, files))
    else texts.set(path, source)
  }
  return { modules, texts }
}

/** Test files, suites of tests and what only tests use: named `*.test.ts`, `*.contract.ts`, `*.fixture.ts` and the like. */
export function isTestFile(path: string): boolean {
  return /\.(?:test|contract|fixture|test-child)\.ts$/.test(path)
}

function createModule(path: string, source: string, files: ReadonlyMap<string, string>): Module {
  const scanned = scanSource(source)
  const imported = new Set(scanned.strings.filter((literal) => isImported(scanned, literal)))
  const resolve = (specifier: string) => {
    const file = normalize(`${dirname(path)}/${specifier}`)
    return files.has(file) && file !== path ? file : undefined
  }
  const imports = [...imported].map(({ value, index }) => ({
    specifier: value,
    file: value.startsWith('.') ? resolve(value) : undefined,
    line: lineAt(source, index),
  }))
  const named = scanned.strings.filter((literal) => !imported.has(literal) && sourceName.test(literal.value))
  const runs = named.map(({ value }) => resolve(value)).filter((file) => file !== undefined)
  return { path, source, code: scanned.code, imports, runs }
}

/** `import … from 'x'`, `export … from 'x'`, `import 'x'`, `import('x')`, with or without `type`. */
function isImported({ code }: ScannedSource, { index }: StringLiteral): boolean {
  return /(?:\bfrom|\bimport\s*\(?)$/.test(code.slice(Math.max(0, index - 200), index).trimEnd())
}
