import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTerminal } from './stand-in/open-terminal.fixture.ts'

const { dialtone } = openTerminal()

test('top lists what each takes at the moment, the busiest first', async () => {
  const { code, out } = await dialtone('vm top')
  assert.equal(code, 0)
  assert.match(
    out,
    /^NAME +CPU +MEMORY .*\ndatabase +150 % +96 MiB +0 KiB\/s +0 KiB\/s +2\.0 MiB\/s +0 KiB\/s +3 ms\nweb +0 % /,
  )
  const hosts = JSON.parse((await dialtone('host top --json')).out)
  assert.deepEqual(
    hosts.hosts.map(({ name }: { name: string }) => name),
    ['h1'],
  )
})
