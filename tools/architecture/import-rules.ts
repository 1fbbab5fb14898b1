/** Who may import whom: the table of docs/architecture.md, as its decision records amended it. */
import { isTestFile, type Module, type Project, sourceName, type Violation } from './project.ts'

type FolderRule = {
  readonly folders: readonly string[]
  /** The only npm packages; absent: any. */
  readonly packages?: readonly string[]
  readonly isWithoutNode?: true
}

const everywhere = ['model', 'control', 'engine', 'store', 'agent', 'controller', 'transport', 'linux', 'laboratory']

/** Folders of src/. One that is missing here fails. */
const table: Readonly<Record<string, FolderRule>> = {
  model: { folders: [], packages: ['zod'], isWithoutNode: true },
  control: { folders: ['model'], packages: ['zod'], isWithoutNode: true },
  store: { folders: ['model'] },
  engine: { folders: ['model', 'control', 'store'], packages: ['zod'], isWithoutNode: true },
  transport: { folders: ['model'] },
  linux: { folders: ['model'] },
  agent: { folders: ['model', 'transport', 'linux'] },
  controller: { folders: ['model', 'control', 'engine', 'store', 'transport', 'linux'] },
  laboratory: { folders: ['model', 'transport', 'linux'] },
  cli: { folders: ['model', 'control', 'transport', 'linux'] },
  web: { folders: ['model', 'transport'], isWithoutNode: true },
  sim: { folders: everywhere },
}

/** They may use anything, and nobody imports them. */
const outerFolders = ['recipes', 'scenarios', 'bench', 'e2e', 'tools']

/** Files of an outer folder that others of them may import: the stamps that a guest wrote, a laboratory to measure in, a browser. */
const lentFiles = ['recipes/tiny/read-stamps.ts', 'e2e/open-laboratory.ts', 'e2e/open-browser.ts']
const borrowers = ['bench', 'e2e', 'scenarios', 'tools']

const storePort = 'src/store/store.ts'
const browserFolder = 'src/web'

/** Each folder directly in one of these is a driver behind the port that lies beside it. */
const driverParents = [
  'src/store',
  'src/agent/hypervisor',
  'src/agent/storage',
  'src/agent/network',
  'src/agent/firewall',
]

export function findImportViolations(project: Project): Violation[] {
  return [...findForbiddenImports(project), ...findBrowserViolations(project)]
}

/** What the console is made of runs in a browser: whatever it imports, however far away, has neither Node nor a package of Node's. */
function findBrowserViolations({ modules }: Project): Violation[] {
  const reached = new Set<string>()
  const violations: Violation[] = []
  const waiting = [...modules.keys()].filter((path) => path.startsWith(`${browserFolder}/`) && !isTestFile(path))
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reached.has(path)) continue
    reached.add(path)
    for (const { specifier, file, line } of modules.get(path)?.imports ?? []) {
      if (file !== undefined) waiting.push(file)
      const isForeign = !specifier.startsWith('.') && !path.startsWith(`${browserFolder}/`) && specifier !== 'zod'
      if (isForeign)
        violations.push({
          rule: 'imports',
          path,
          line,
          message: `the console comes here, and ${specifier} is for Node`,
        })
    }
  }
  return violations
}

function findForbiddenImports({ modules }: Project): Violation[] {
  return [...modules.values()].flatMap((module) =>
    module.imports.flatMap(({ specifier, file, line }) => {
      const message =
        file === undefined
          ? refuseOutside(module.path, specifier)
          : (refuseFile(module, file) ?? refuseDriver(module, file))
      return message === undefined ? [] : [{ rule: 'imports', path: module.path, line, message }]
    }),
  )
}

function refuseFile({ path }: Module, file: string): string | undefined {
  const [from, to] = [folderOf(path), folderOf(file)]
  if (from === to) return undefined
  if (outerFolders.includes(to)) return isLent(from, file) ? undefined : `nobody may import from ${to}/`
  if (outerFolders.includes(from)) return undefined
  const rule = table[from]
  if (rule === undefined) return `src/${from} is not in the table of tools/architecture/import-rules.ts`
  if (!rule.folders.includes(to)) return `${from} may not import ${to}; it may: ${rule.folders.join(', ') || 'nothing'}`
  if (from === 'engine' && to === 'store' && file !== storePort && !isTestFile(path)) {
    return `engine may import only the port of the store, ${storePort}`
  }
  return undefined
}

function refuseDriver({ path }: Module, file: string): string | undefined {
  const driver = driverOf(file)
  if (driver === undefined || path.startsWith(`${driver}/`)) return undefined
  const own = driverOf(path)
  if (own !== undefined) return `siblings do not import each other: ${own} imports ${driver}`
  const isChoiceAllowed =
    isTestFile(path) || path.endsWith('/main.ts') || ['sim', ...outerFolders].includes(folderOf(path))
  return isChoiceAllowed ? undefined : `${driver} is a driver: only a main.ts, a test or sim may choose it`
}

function refuseOutside(path: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return sourceName.test(specifier) ? `there is no ${specifier}` : undefined
  const rule = path.startsWith('src/') ? table[folderOf(path)] : undefined
  if (rule === undefined || isTestFile(path)) return undefined
  if (specifier.startsWith('node:'))
    return rule.isWithoutNode ? `${folderOf(path)} has no platform: ${specifier}` : undefined
  const isAllowed = rule.packages === undefined || rule.packages.includes(specifier)
  return isAllowed
    ? undefined
    : `${folderOf(path)} may use only the packages ${rule.packages?.join(', ')}, not ${specifier}`
}

function isLent(from: string, file: string): boolean {
  return lentFiles.includes(file) && borrowers.includes(from)
}

/** `engine` of `src/engine/tasks/x.ts`, `bench` of `bench/x.ts`. */
function folderOf(path: string): string {
  const [top = '', second = ''] = path.split('/')
  return top === 'src' ? second : top
}

function driverOf(path: string): string | undefined {
  const parent = driverParents.find((folder) => path.startsWith(`${folder}/`))
  if (parent === undefined) return undefined
  const [name, rest] = path.slice(parent.length + 1).split('/')
  return rest === undefined ? undefined : `${parent}/${name}`
}
