/** Where this machine's own apt gets a Debian release from, for machines that are made of it. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DialtoneError } from '../../src/model/dialtone-error.ts'

const folder = '/etc/apt/sources.list.d'

/** In the format of `*.sources` (deb822): the entries that offer this release, its updates and its security updates. */
export async function findDebianSources(suite: string): Promise<string> {
  const names = (await readdir(folder).catch(() => [])).toSorted((one, other) => one.localeCompare(other))
  const texts = await Promise.all(
    names.filter((name) => name.endsWith('.sources')).map((name) => readFile(join(folder, name), 'utf8')),
  )
  const lists = await Promise.all(
    ['/etc/apt/sources.list', ...names.filter((name) => name.endsWith('.list')).map((name) => join(folder, name))].map(
      (path) => readFile(path, 'utf8').catch(() => ''),
    ),
  )
  const entries = [
    ...texts.flatMap((text) => entriesFor(text, suite)),
    ...lists.flatMap((text) => linesFor(text, suite)),
  ]
  if (entries.length > 0) return `${entries.join('\n\n')}\n`
  throw new DialtoneError('machine-setup', `apt's own sources do not offer Debian ${suite}: add a mirror to ${folder}`)
}

/** The paragraphs of a deb822 file with one of the release's suites. */
export function entriesFor(text: string, suite: string): string[] {
  return text
    .split(/\n\s*\n/)
    .map((entry) => entry.replaceAll(/^#.*\n?/gm, '').trim())
    .filter((entry) => {
      const suites = /^Suites:(.*)$/m.exec(entry)?.[1]?.trim().split(/\s+/) ?? []
      const types = /^Types:(.*)$/m.exec(entry)?.[1]?.trim().split(/\s+/) ?? []
      const isOffered = types.includes('deb') && !/^Enabled:\s*no/m.test(entry)
      return isOffered && suites.some((one) => isOf(one, suite))
    })
}

/** The lines of the older format, each as an entry. */
export function linesFor(text: string, suite: string): string[] {
  return text.split('\n').flatMap((line) => {
    const [, options = '', uri, name, components] =
      /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$/.exec(line.trim()) ?? []
    if (uri === undefined || name === undefined || components === undefined || !isOf(name, suite)) return []
    const signedBy = /signed-by=(\S+)/.exec(options)?.[1]
    const key = signedBy === undefined ? '' : `\nSigned-By: ${signedBy}`
    return [`Types: deb\nURIs: ${uri}\nSuites: ${name}\nComponents: ${components}${key}`]
  })
}

function isOf(name: string, suite: string): boolean {
  return name === suite || name === `${suite}-updates` || name === `${suite}-security`
}
