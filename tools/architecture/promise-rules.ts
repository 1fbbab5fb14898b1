/** Each promise of docs/specification.md names a test that exists: `**P12** … kept by `path.test.ts` "name of the test"`. */
import type { Project, Violation } from './project.ts'
import { lineAt } from './scan-source.ts'

const path = 'docs/specification.md'

export function findPromiseViolations(project: Project): Violation[] {
  const text = project.texts.get(path)
  if (text === undefined) return [{ rule: 'promise', path, message: 'there is no specification' }]
  const promises = [...text.matchAll(/\*\*(P\d+)\*\*[\s\S]*?(?=\*\*P\d+\*\*|\n\s*\n|$)/g)]
  const seen = new Set<string>()
  return promises.flatMap(({ 0: sentence, 1: number = '', index }) => {
    const messages = seen.has(number) ? ['the number is used twice'] : judgeTests(project, sentence)
    seen.add(number)
    return messages.map((message) => ({
      rule: 'promise',
      path,
      line: lineAt(text, index),
      message: `${number}: ${message}`,
    }))
  })
}

function judgeTests({ modules }: Project, sentence: string): string[] {
  const tests = [...sentence.replaceAll(/\s+/g, ' ').matchAll(/`([^`]+\.ts)` "([^"]+)"/g)]
  if (tests.length === 0) return ['no test is named, as in kept by `path.test.ts` "name"']
  return tests.flatMap(([, file = '', name = '']) => {
    const test = modules.get(file)
    if (test === undefined) return [`there is no ${file}`]
    return test.source.includes(name) ? [] : [`${file} has no test "${name}"`]
  })
}
