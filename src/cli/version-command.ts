/** `dialtone version` */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { writeJson } from './screen.ts'
import { type GlobalOptions, screenOf } from './session.ts'

/** Makes the command `version` print the version of this package. */
export function addVersionCommand(version: Command): void {
  version.action(async (_options: object, command: Command) => {
    const screen = screenOf(command.optsWithGlobals<GlobalOptions>())
    const answer = { version: await packageVersion(), node: process.versions.node }
    if (screen.json) return writeJson(screen, answer)
    screen.write(`dialtone ${answer.version}, Node ${answer.node}\n`)
  })
}

async function packageVersion(): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  const hasVersion = typeof manifest === 'object' && manifest !== null && 'version' in manifest
  return hasVersion ? String(manifest.version) : 'unknown'
}
