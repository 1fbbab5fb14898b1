/** The commands of security groups, as processes, against the real routes over HTTP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTerminal } from './stand-in/open-terminal.fixture.ts'

const terminal = openTerminal()

async function dialtone(words: string) {
  const ending = await terminal.dialtone(words)
  return { ...ending, change: terminal.standIn.situation.changes.at(-1) ?? '' }
}

test('groups are a table, as JSON what the API says, and one is shown with what always passes', async () => {
  assert.match((await dialtone('firewall group list')).out, /^NAME +RULES +VMS +AGE\nweb +1 +web/)
  assert.equal(JSON.parse((await dialtone('firewall group list --json')).out).groups[0].name, 'web')
  const { out } = await dialtone('firewall group show web')
  assert.match(out, /in tcp 80 from anybody\n/)
  assert.match(out, /out: everything\n/)
  assert.match(out, /always: ARP, DHCP/)
})

test('a rule is read from its options, and removed by the same ones', async () => {
  const options = 'web --direction in --protocol tcp --ports 80,8000-8010 --from 10.0.0.0/8'
  const body =
    '{"direction":"in","protocol":"tcp","ports":[{"from":80,"to":80},{"from":8000,"to":8010}],"peer":"10.0.0.0/8"}'
  assert.equal((await dialtone(`firewall rule add ${options}`)).change, `add-rule web ${body}`)
  assert.equal((await dialtone(`firewall rule remove ${options}`)).change, `remove-rule web ${body}`)
  const { change } = await dialtone('firewall rule add web --direction out --protocol any --to web')
  assert.equal(change, 'add-rule web {"direction":"out","protocol":"any","ports":[],"peer":"web"}')
})

test('what makes no sense is a usage error that says what to write', async () => {
  for (const [words, sentence] of [
    ['firewall rule add web --direction in --protocol tcp --ports 80-70', /'80-70' is not one/],
    ['firewall rule add web --direction in --protocol tcp --ports 0', /from 1 to 65535/],
    ['firewall rule add web --direction up --protocol tcp', /in or out/],
    ['firewall rule add web --direction in --protocol tcp --to web', /--from/],
    ['firewall apply web', /or --none/],
    ['firewall apply web web --none', /or --none/],
    ['vm create shop --template tiny --from-memory --security-group web', /do not go together/],
  ] as const) {
    const { code, err } = await dialtone(words)
    assert.equal(code, 2, words)
    assert.match(err, sentence)
  }
})

test('groups are applied and taken away, and a group is deleted only on a word', async () => {
  const applied = await dialtone('firewall apply web web')
  assert.deepEqual([applied.out, applied.change], ['web has web.\n', 'apply web web'])
  const opened = await dialtone('firewall apply web --none')
  assert.deepEqual([opened.out, opened.change], ['web is open: it has no security group.\n', 'apply web '])
  const unasked = await dialtone('firewall group delete web')
  assert.deepEqual([unasked.code, unasked.change], [1, 'apply web '])
  assert.equal((await dialtone('firewall group delete web --yes')).change, 'delete-group sg-aaaaaaaa')
})
