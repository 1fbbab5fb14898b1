import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entriesFor, linesFor } from './debian-sources.ts'

const deb822 = `Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main

Types: deb
URIs: https://other.example
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: http://off.example
Suites: bookworm
Components: main

Types: deb-src
URIs: http://sources.example
Suites: bookworm
Components: main
`

test('only what offers the release counts, whole and without comments', () => {
  const entries = entriesFor(deb822, 'bookworm')
  assert.deepEqual(
    entries.map((entry) => /^URIs: (.*)$/m.exec(entry)?.[1]),
    ['http://mirror.example/debian', 'http://mirror.example/security'],
  )
  assert.match(entries[0] ?? '', /Signed-By/)
  assert.doesNotMatch(entries[0] ?? '', /#/)
  assert.deepEqual(entriesFor(deb822, 'trixie'), [])
})

test('lines of the older format are the same in the newer one', () => {
  const text = `# deb http://no.example bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] http://mirror.example/debian bookworm main contrib
deb http://mirror.example/debian bookworm-backports main
deb-src http://mirror.example/debian bookworm main
`
  assert.deepEqual(linesFor(text, 'bookworm'), [
    'Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main contrib\nSigned-By: /usr/share/keyrings/k.gpg',
  ])
})
