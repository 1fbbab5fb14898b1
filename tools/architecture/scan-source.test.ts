import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lineAt, scanSource } from './scan-source.ts'

const valuesIn = (source: string) => scanSource(source).strings.map(({ value }) => value)

test('the code keeps its length and its lines', () => {
  const source = "const a = 'text' // why\nconst b = `x${a}y` /* long\ncomment */\n"
  const { code } = scanSource(source)
  assert.equal(code.length, source.length)
  assert.equal(code, "const a = '    '       \nconst b = ` ${a} `        \n          \n")
})

test('strings are found with what they say, escaped quotes included', () => {
  assert.deepEqual(valuesIn(`f('a', "b", 'it\\'s', \`plain\`)`), ['a', 'b', "it\\'s", 'plain'])
})

test('a quote in a comment opens no string', () => {
  assert.deepEqual(valuesIn("// it's\n/* don't */ f('yes')"), ['yes'])
})

test('a comment sign in a string opens no comment', () => {
  assert.match(scanSource("open('http://x'); Date.now()").code, /Date\.now\(\)/)
})

test('code in a template is code, its text is not', () => {
  const { code } = scanSource('const a = `Math.random ${nested({ b: `${Date.now()}` })} setTimeout`')
  assert.match(code, /Date\.now\(\)/)
  assert.doesNotMatch(code, /Math|setTimeout/)
})

test('a quote in a regular expression opens no string, and a division is no regular expression', () => {
  assert.deepEqual(valuesIn("x.replace(/['/]/g, 'a'); const b = total / count / 'c'.length"), ['a', 'c'])
})

test('lines count from 1', () => {
  assert.equal(lineAt('a\nb\nc', 4), 3)
})
