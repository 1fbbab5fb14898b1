/** `npm run help`: the verbs of package.json with a sentence each. */
import { readFile } from 'node:fs/promises'
import { styleText } from 'node:util'

/** In the order in which somebody new needs them. */
const sentences: Readonly<Record<string, string>> = {
  demo: 'sets up what is missing, then shows a cloud of three hosts that moves a machine, loses a process and a host, and goes on',
  test: 'sets up what is missing, then runs check, unit, scenario and e2e; what continuous integration runs',
  dialtone: 'the command line: npm run dialtone -- vm list (or ./bin/dialtone vm list)',
  dev: 'a whole cloud of simulated hosts in real time with the console, which is built first: npm run dev -- --port 7400 --calm',
  'build:web':
    'builds the console into dist/web, where a controller serves it from; nothing is done when it is there as the sources are',
  screenshots:
    'a picture of every page of the console, light, dark and narrow, to be looked at: npm run screenshots -- --into FOLDER',
  check: 'types, lint, format and architecture; nothing is run. Parts by name: npm run check -- types lint',
  'test:unit': 'all tests that need no machine; one file: node_modules/.bin/node --test FILE',
  scenario:
    'plays the scenarios of scenarios/, one with its timeline: npm run scenario -- 0101 [--accept]; --words, --table',
  e2e: 'tests with real machines, one after the other; needs root; long: npm run e2e -- faults --rounds 50, npm run e2e -- long/debian',
  model:
    'checks the formal model of docs/model in every state, and shows how each broken variant of the protocol fails',
  sim: 'one episode of a simulated cluster with faults, and all that happens in it: npm run sim -- --seed 7',
  'sim:many': 'episodes on all cores, and what they come to: npm run sim:many -- --minutes 10, or --episodes 200000',
  'sim:mutants':
    'puts seeded bugs into the simulated cluster, one at a time, and looks whether it notices: npm run sim:mutants -- --only ID',
  bench: 'measures: npm run bench -- --list',
  soak: 'drills of mixed kind in a row, hundreds of them, and a look at what they left: npm run soak -- --drills 500',
  'soak:load': 'every processor busy for an hour, and no host may be fenced: npm run soak:load -- --minutes 60',
  'soak:moves': 'a machine at work moves a hundred times under one connection: npm run soak:moves -- --moves 100',
  'soak:snapshots':
    'a tree of snapshots is grown, cut and climbed at random, and every byte is checked: npm run soak:snapshots -- --rounds 200',
  format: 'puts sources into the form that check asks for',
  help: 'this list',
}

/** One line a script. Throws if a script has no sentence, or a sentence no script. */
export function describeVerbs(scripts: readonly string[]): string[] {
  const silent = scripts.filter((name) => sentences[name] === undefined)
  const gone = Object.keys(sentences).filter((name) => !scripts.includes(name))
  if (silent.length > 0 || gone.length > 0) {
    throw new Error(`tools/help.ts and package.json differ: ${[...silent, ...gone].join(', ')}`)
  }
  return Object.entries(sentences).map(([name, sentence]) => {
    const command = name === 'test' ? 'npm test' : `npm run ${name}`
    return `${styleText('bold', command.padEnd(18))} ${sentence}`
  })
}

/** Names of the scripts in package.json. */
export async function readScripts(): Promise<string[]> {
  const content: unknown = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'))
  const scripts = content instanceof Object && 'scripts' in content ? content.scripts : undefined
  return scripts instanceof Object ? Object.keys(scripts) : []
}

if (import.meta.main) console.log(describeVerbs(await readScripts()).join('\n'))
