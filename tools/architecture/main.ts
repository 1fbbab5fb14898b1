/** `node tools/architecture/main.ts`: prints each violation of the architecture as `path:line rule: message`. */
import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkArchitecture } from './check-architecture.ts'

const root = join(import.meta.dirname, '../..')
const patterns = ['{src,recipes,scenarios,bench,e2e,tools}/**/*.{ts,mts,tsx,mjs,md}', 'docs/specification.md']

const files = new Map<string, string>()
for await (const path of glob(patterns, { cwd: root, exclude: (name) => name.endsWith('node_modules') })) {
  files.set(path, await readFile(join(root, path), 'utf8'))
}
const violations = checkArchitecture(files)
for (const { path, line, rule, message } of violations) {
  console.log(`${line === undefined ? path : `${path}:${line}`} ${rule}: ${message}`)
}
console.log(violations.length === 0 ? `${files.size} files, as they should be` : `${violations.length} violations`)
process.exitCode = violations.length === 0 && files.size > 0 ? 0 : 1
