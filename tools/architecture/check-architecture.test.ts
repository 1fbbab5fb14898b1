import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { checkArchitecture } from './check-architecture.ts'

/** A small tree that keeps every rule; each test plants one violation in it. */
const sound: Readonly<Record<string, string>> = {
  'src/model/vm.ts': "import { z } from 'zod'\nexport const vm = z\n",
  'src/model/README.md': '',
  'src/control/place-vm.ts': "import { vm } from '../model/vm.ts'\nexport const placeVm = vm\n",
  'src/control/README.md': '',
  'src/store/store.ts': 'export type Store = object\n',
  'src/store/memory/memory-store.ts': "import type { Store } from '../store.ts'\nexport const memory: Store = {}\n",
  'src/store/sqlite/sqlite-store.ts': "import type { Store } from '../store.ts'\nexport const sqlite: Store = {}\n",
  'src/store/sqlite/sqlite-store.test.ts': "import './sqlite-store.ts'\n// keeps what it acknowledged\n",
  'src/store/README.md': '',
  'src/engine/engine.ts':
    "import type { Store } from '../store/store.ts'\nimport { placeVm } from '../control/place-vm.ts'\nexport const engine = (store: Store) => placeVm\n",
  'src/engine/engine.test.ts': "import '../store/memory/memory-store.ts'\nimport './engine.ts'\n",
  'src/engine/README.md': '',
  'src/controller/main.ts':
    "import { sqlite } from '../store/sqlite/sqlite-store.ts'\nimport { engine } from '../engine/engine.ts'\nimport './listen.ts'\nengine(sqlite)\n",
  'src/controller/listen.ts': "import { createServer } from 'node:net'\nsetTimeout(createServer, 10)\n",
  'src/controller/README.md': '',
  'docs/specification.md':
    '- **P1** What was acknowledged is kept\n  — kept by `src/store/sqlite/sqlite-store.test.ts` "keeps what it acknowledged".\n',
}

function violationsWith(planted: Readonly<Record<string, string>>): string[] {
  const files = new Map(Object.entries({ ...sound, ...planted }))
  return checkArchitecture(files).map(({ rule, path, message }) => `${rule} ${path}: ${message}`)
}

function isCaught(planted: Readonly<Record<string, string>>, expected: RegExp): void {
  const violations = violationsWith(planted)
  assert.equal(violations.length, 1, violations.join('\n'))
  assert.match(violations[0] ?? '', expected)
}

/** Adds lines to a file of the sound tree. */
function added(path: string, lines: string): Record<string, string> {
  return { [path]: `${sound[path] ?? ''}${lines}\n` }
}

test('the sound tree has no violation', () => {
  assert.deepEqual(violationsWith({}), [])
})

suite('the table of folders bites', () => {
  const plantings = {
    'import type': "import type { Server } from '../controller/listen.ts'",
    'import for effect': "import '../controller/listen.ts'",
    'import over several lines': "import {\n  a,\n  b,\n} from '../controller/listen.ts'",
    'export from': "export * from '../controller/listen.ts'",
    'dynamic import': "const load = () => import('../controller/listen.ts')",
    'type of an import': "type Listen = typeof import('../controller/listen.ts')",
    'double quotes': 'import "../controller/listen.ts"',
  }
  for (const [form, line] of Object.entries(plantings)) {
    test(`on ${form}`, () => isCaught(added('src/control/place-vm.ts', line), /control may not import controller/))
  }

  test('but not on a comment or a text', () => {
    const lines = "// import '../controller/listen.ts'\nconst text = `import '../controller/listen.ts'`"
    assert.deepEqual(violationsWith(added('src/control/place-vm.ts', lines)), [])
  })

  test('on the engine that reaches past the port of the store', () =>
    isCaught(
      { ...added('src/engine/engine.ts', "import '../store/watch.ts'"), 'src/store/watch.ts': '' },
      /only the port/,
    ))

  test('on a folder that it does not know', () =>
    isCaught(
      { 'src/magic/main.ts': "import '../model/vm.ts'", 'src/magic/README.md': '' },
      /src\/magic is not in the table/,
    ))

  test('on an import from a folder that only uses others', () =>
    isCaught(
      {
        ...added('src/controller/main.ts', "import '../../bench/main.ts'"),
        'bench/main.ts': '',
        'bench/README.md': '',
      },
      /nobody may import from bench/,
    ))

  test('on a package that the model may not use', () =>
    isCaught(added('src/model/vm.ts', "import 'fastify'"), /model may use only the packages zod, not fastify/))

  test('on a module of the platform in the engine', () =>
    isCaught(added('src/engine/engine.ts', "import { join } from 'node:path'"), /engine has no platform: node:path/))

  test('on a file that is not there', () =>
    isCaught(added('src/model/vm.ts', "import './gone.ts'"), /there is no \.\/gone\.ts/))
})

suite('the rule of drivers bites', () => {
  test('on siblings that import each other', () =>
    isCaught(
      added('src/store/memory/memory-store.ts', "import '../sqlite/sqlite-store.ts'"),
      /siblings do not import each other: src\/store\/memory imports src\/store\/sqlite/,
    ))

  test('on a choice outside a main.ts', () =>
    isCaught(
      added('src/controller/listen.ts', "import '../store/sqlite/sqlite-store.ts'"),
      /src\/store\/sqlite is a driver: only a main\.ts/,
    ))
})

suite('the rules of the graph bite', () => {
  test('on a cycle', () =>
    isCaught(
      {
        ...added('src/model/vm.ts', "import './volume.ts'"),
        'src/model/volume.ts': "import type { Vm } from './vm.ts'",
      },
      /cycle .*: src\/model\/(vm|volume)\.ts → src\/model\/(vm|volume)\.ts → src\/model\/(vm|volume)\.ts/,
    ))

  test('on a file that nothing comes to', () =>
    isCaught({ 'src/model/forgotten.ts': '' }, /dead file src\/model\/forgotten\.ts/))

  test('but not on a file that is run as a thread or a process', () => {
    const planted = added('src/controller/main.ts', "new Worker(new URL('./thread.ts', import.meta.url))")
    assert.deepEqual(violationsWith({ ...planted, 'src/controller/thread.ts': '' }), [])
  })
})

suite('the rule of the platform bites in model, control and engine', () => {
  const uses = [
    'Date.now()',
    'new Date()',
    'new Date( )',
    'Date()',
    'Math.random()',
    'setTimeout(f, 1)',
    'setInterval(f, 1)',
    'performance.now()',
    'process.env',
    'globalThis',
    '`at ${Date.now()}`',
  ]
  for (const use of uses) {
    for (const path of ['src/model/vm.ts', 'src/control/place-vm.ts', 'src/engine/engine.ts']) {
      test(`${use} in ${path}`, () => isCaught(added(path, `export const planted = ${use}`), /^platform /))
    }
  }

  test('but not on a time that is read from text, nor on the type', () => {
    const lines = 'export const year = (text: string): Date => new Date(text)\nexport type Clock = { wallTime(): Date }'
    assert.deepEqual(violationsWith(added('src/model/vm.ts', lines)), [])
  })
})

suite('the rules of layout bite', () => {
  test('on a file of more than 500 lines', () =>
    isCaught(added('src/model/vm.ts', '// line\n'.repeat(500)), /length src\/model\/vm\.ts/))

  test('on a folder whose name says nothing', () =>
    isCaught(
      {
        ...added('src/controller/main.ts', "import './helpers/join-names.ts'"),
        'src/controller/helpers/join-names.ts': '',
      },
      /name src\/controller\/helpers/,
    ))

  test('on a top folder without a README.md', () =>
    isCaught({ 'bench/main.ts': '' }, /readme bench: a top folder has a README\.md/))
})

suite('the rule of promises bites', () => {
  const promise = (text: string) => added('docs/specification.md', `- **P2** ${text}`)

  test('on a promise without a test', () => isCaught(promise('Nothing is lost.'), /P2: no test is named/))

  test('on a test file that is not there', () =>
    isCaught(promise('Kept by `src/gone.test.ts` "is kept".'), /P2: there is no src\/gone\.test\.ts/))

  test('on a test that the file does not contain', () =>
    isCaught(promise('Kept by `src/engine/engine.test.ts` "is kept".'), /has no test "is kept"/))

  test('on a number used twice', () =>
    isCaught(
      added(
        'docs/specification.md',
        '- **P1** Again: `src/store/sqlite/sqlite-store.test.ts` "keeps what it acknowledged".',
      ),
      /P1: the number is used twice/,
    ))
})
