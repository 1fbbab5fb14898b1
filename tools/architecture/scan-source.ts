/**
 * Reads a TypeScript source just far enough to tell code from what is only text: comments, strings, templates and
 * regular expressions. (TypeScript 7 has no API to ask, and stripping types would lose `import type`.)
 */

export type StringLiteral = {
  readonly value: string
  /** Where its opening quote stands. */
  readonly index: number
}

export type ScannedSource = {
  /** The source in its length, with every comment and every literal's content replaced by blanks. */
  readonly code: string
  readonly strings: readonly StringLiteral[]
}

type Literal = { readonly end: number; readonly string?: StringLiteral }

/** After these words a slash begins a regular expression; after any other word or a bracket it divides. */
const wordsBeforeExpression = /\b(?:return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield|instanceof)$/

export function scanSource(source: string): ScannedSource {
  const strings: StringLiteral[] = []
  // Depths of braces at which a template's `${` was opened; its `}` continues the template.
  const templates: number[] = []
  let code = ''
  let depth = 0
  while (code.length < source.length) {
    const index = code.length
    const character = source[index] ?? ''
    const isTemplateGoingOn = character === '}' && templates.at(-1) === depth
    if (isTemplateGoingOn) templates.pop()
    if (character === '{') depth += 1
    if (character === '}' && !isTemplateGoingOn) depth -= 1
    const literal = isTemplateGoingOn ? templateFrom(source, index) : literalAt(source, index, code.slice(-20))
    if (literal === undefined) {
      code += character
      continue
    }
    if (literal.string !== undefined) strings.push(literal.string)
    code += blank(source.slice(index, literal.end))
    if (code.endsWith('${')) templates.push(depth)
  }
  return { code, strings }
}

/** Which line, from 1. */
export function lineAt(source: string, index: number): number {
  return source.slice(0, index).split('\n').length
}

function literalAt(source: string, index: number, codeBefore: string): Literal | undefined {
  const character = source[index]
  if (character === "'" || character === '"') return stringFrom(source, index)
  if (character === '`') return templateFrom(source, index)
  if (character !== '/') return undefined
  if (source.startsWith('//', index)) return { end: endOf(source, source.indexOf('\n', index)) }
  if (source.startsWith('/*', index)) return { end: endOf(source, source.indexOf('*/', index + 2) + 2) }
  return isExpressionExpected(codeBefore) ? { end: regularExpressionEnd(source, index) } : undefined
}

function stringFrom(source: string, start: number): Literal {
  let end = start + 1
  while (end < source.length && source[end] !== source[start]) end += source[end] === '\\' ? 2 : 1
  return { end: end + 1, string: { value: source.slice(start + 1, end), index: start } }
}

/** The template's text from its opening quote, or from the `}` of an expression in it, up to and with `${` or its end. */
function templateFrom(source: string, start: number): Literal {
  let end = start + 1
  while (end < source.length && source[end] !== '`') {
    if (source.startsWith('${', end)) return { end: end + 2 }
    end += source[end] === '\\' ? 2 : 1
  }
  const isPlain = source[start] === '`'
  return isPlain ? { end: end + 1, string: { value: source.slice(start + 1, end), index: start } } : { end: end + 1 }
}

function regularExpressionEnd(source: string, start: number): number {
  let isInClass = false
  let end = start + 1
  while (end < source.length && source[end] !== '\n' && (isInClass || source[end] !== '/')) {
    if (source[end] === '[') isInClass = true
    if (source[end] === ']') isInClass = false
    end += source[end] === '\\' ? 2 : 1
  }
  return end + 1
}

function isExpressionExpected(codeBefore: string): boolean {
  const before = codeBefore.trimEnd()
  return before === '' || /[(,=:[!&|?{};+\-*%<>~^]$/.test(before) || wordsBeforeExpression.test(before)
}

/** Keeps what delimits (quotes, a template's `${` and `}`) and line ends, so that the code around still reads as code. */
function blank(text: string): string {
  const body = text.replace(/[^\n]/g, ' ')
  if (!/^['"`}]/.test(text)) return body
  const closing = text.endsWith('${') ? '${' : text.slice(-1)
  return `${text.slice(0, 1)}${body.slice(1, -closing.length)}${closing}`
}

function endOf(source: string, end: number): number {
  return end <= 0 ? source.length : end
}
