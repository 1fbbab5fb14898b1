/** The agent as a process of this machine, speaking on standard input and output. Nothing here changes the machine it runs on. */
import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { runCommand } from '../../src/linux/run-command.ts'

const sources = join(import.meta.dirname, 'program')
const hello = 'ok=1\nversion=1\nverbs=hello,resume,become,mount,unmount,restart,ask\n\n'
const entropy = '5a'.repeat(64)
const identity = `name=web\nmachineId=${'0a'.repeat(16)}\nmacAddress=52:54:00:00:00:01\naddress=10.0.0.2\nprefixLength=24\ngateway=`

let directory: string
let program: string | undefined

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'resident-'))
  program = await compile(join(directory, 'dialtone-resident'))
})
after(() => rm(directory, { recursive: true }))

type Conversation = { readonly what: string; readonly sent: string | Buffer; readonly answered: string }

const conversations: readonly Conversation[] = [
  { what: 'a greeting is answered under its id', sent: 'id=7\ndo=hello\n\n', answered: `id=7\n${hello}` },
  {
    what: 'requests that come together are answered in order',
    sent: 'id=1\ndo=hello\n\nid=2\ndo=hello\n\n',
    answered: `id=1\n${hello}id=2\n${hello}`,
  },
  { what: 'empty lines between requests are nothing', sent: '\n\n\nid=1\ndo=hello\n\n\n', answered: `id=1\n${hello}` },
  {
    what: 'a line that is no pair is refused under the id, and the next request is served',
    sent: 'id=1\nhello\n\nid=2\ndo=hello\n\n',
    answered: `id=1\nerror=a line is not key=value in plain characters\n\nid=2\n${hello}`,
  },
  {
    what: 'bytes that are no text are refused',
    sent: Buffer.from('id=1\ndo=he\0llo\n\nid=2\ndo=\x1b[2J\n\nid=3\ndo=hello\n\n', 'latin1'),
    answered:
      'id=1\nerror=a line is not key=value in plain characters\n\n' +
      `id=2\nerror=a line is not key=value in plain characters\n\nid=3\n${hello}`,
  },
  {
    what: 'half a request that a broken connection left is forgotten when the next begins',
    sent: 'id=1\ndo=restart\nname=wnid=2\ndo=\nid=3\ndo=hello\n\n',
    answered: `id=3\n${hello}`,
  },
  {
    what: 'a key that comes twice is refused',
    sent: 'id=1\ndo=hello\ndo=restart\n\n',
    answered: 'id=1\nerror=a key comes twice\n\n',
  },
  {
    what: 'more lines than any request has are refused',
    sent: `id=1\n${Array.from({ length: 30 }, (_, index) => `k${index}=v\n`).join('')}\n`,
    answered: 'id=1\nerror=there are too many lines\n\n',
  },
  {
    what: 'a request that is too long is refused once, passed over to its end, and the next is served',
    sent: `id=1\ndo=hello\nx=${'y'.repeat(10_000)}\nz=1\n\nid=2\ndo=hello\n\n`,
    answered: `id=1\nerror=the message is longer than 4096 bytes\n\nid=2\n${hello}`,
  },
  {
    what: 'what is not known is refused',
    sent: 'id=1\ndo=dance\n\nid=2\n\n',
    answered: 'id=1\nerror=this agent does not know how to do that\n\nid=2\nerror=it is not said what to do\n\n',
  },
  {
    what: 'going on without random numbers, with too few of them, or without a time is refused',
    sent: `id=1\ndo=resume\ntimeMs=1\n\nid=2\ndo=resume\nentropy=5a\ntimeMs=1\n\nid=3\ndo=resume\nentropy=${entropy}\ntimeMs=soon\n\n`,
    answered:
      'id=1\nerror=entropy is not 64 bytes in small hexadecimal digits\n\n' +
      'id=2\nerror=entropy is not 64 bytes in small hexadecimal digits\n\n' +
      'id=3\nerror=timeMs is no time in milliseconds since 1970\n\n',
  },
  ...(
    [
      ['name=web', 'name=../web', 'name is no host name'],
      [`machineId=${'0a'.repeat(16)}`, 'machineId=0a', 'machineId is not 32 small hexadecimal digits'],
      ['52:54:00:00:00:01', '53:54:00:00:00:01', 'macAddress is no address of one card, like 52:54:00:12:34:56'],
      ['52:54:00:00:00:01', '52:54:00:00:00', 'macAddress is no address of one card, like 52:54:00:12:34:56'],
      ['address=10.0.0.2', 'address=10.0.0.256', 'address is no IPv4 address'],
      ['prefixLength=24', 'prefixLength=33', 'prefixLength is no number from 1 to 32'],
      ['gateway=', 'gateway=router', 'gateway is neither empty nor an IPv4 address'],
      ['\ngateway=', '', 'gateway is neither empty nor an IPv4 address'],
    ] as const
  ).map(([right, wrong, error]) => ({
    what: `another machine is not begun to be with ${JSON.stringify(wrong)}`,
    sent: `id=1\ndo=become\ntimeMs=1\nentropy=${entropy}\n${identity.replace(right, wrong)}\n\n`,
    answered: `id=1\nerror=${error}\n\n`,
  })),
  {
    what: 'a disk is known by a serial number and goes to a numbered place, nothing else',
    sent: 'id=1\ndo=mount\nserial=../../etc\nindex=0\n\nid=2\ndo=mount\nserial=vol-1\nindex=../0\n\nid=3\ndo=mount\nserial=vol-1\nindex=64\n\n',
    answered:
      'id=1\nerror=serial is no serial number of a disk\n\nid=2\nerror=index is no number from 0 to 63\n\n' +
      'id=3\nerror=index is no number from 0 to 63\n\n',
  },
  {
    what: 'unmounting a disk that is not there is done already',
    sent: 'id=1\ndo=unmount\nserial=no-such-disk\n\n',
    answered: 'id=1\nok=1\n\n',
  },
]

for (const { what, sent, answered } of conversations) {
  test(what, async (t) => {
    if (program === undefined) return t.skip('no C compiler is installed')
    const agent = startAgent(program)
    agent.stdin.end(sent)
    assert.equal(await wordsOf(agent), answered)
  })
}

test('a request that comes byte by byte is one request', async (t) => {
  if (program === undefined) return t.skip('no C compiler is installed')
  const agent = startAgent(program)
  const words = wordsOf(agent)
  for (const byte of 'id=1\ndo=hello\n\n') {
    agent.stdin.write(byte)
    await sleep(1)
  }
  agent.stdin.end()
  assert.equal(await words, `id=1\n${hello}`)
})

test('a megabyte of noise kills nobody', async (t) => {
  if (program === undefined) return t.skip('no C compiler is installed')
  const noise = Buffer.alloc(1 << 20)
  for (let at = 0, state = 1; at < noise.length; at++) {
    state = (state * 1103515245 + 12345) % 2147483648
    // One byte in four ends a line, so that many short messages come as well as long ones.
    noise[at] = state % 4 === 0 ? 10 : (state >> 8) & 255
  }
  const agent = startAgent(program)
  const words = wordsOf(agent)
  agent.stdin.write(noise)
  agent.stdin.end('\n\nid=last\ndo=hello\n\n')
  assert.ok((await words).endsWith(`id=last\n${hello}`))
})

function startAgent(path: string): ChildProcessByStdio<Writable, Readable, null> {
  return spawn(path, ['-'], { stdio: ['pipe', 'pipe', 'inherit'], timeout: 20_000 })
}

async function wordsOf(agent: ChildProcessByStdio<Writable, Readable, null>): Promise<string> {
  const exit = once(agent, 'exit')
  let words = ''
  for await (const chunk of agent.stdout.setEncoding('utf8')) words += String(chunk)
  assert.deepEqual(await exit, [0, null])
  return words
}

/** With whichever compiler is here: the one that builds templates is unpacked for each build only. */
async function compile(output: string): Promise<string | undefined> {
  const files = (await readdir(sources)).filter((name) => name.endsWith('.c')).map((name) => join(sources, name))
  for (const compiler of ['gcc', 'clang', 'tcc']) {
    const isHere = await runCommand(compiler, ['-v'], { timeoutMs: 10_000 }).then(
      () => true,
      () => false,
    )
    if (!isHere) continue
    await runCommand(compiler, ['-Wall', '-o', output, ...files], { timeoutMs: 60_000 })
    return output
  }
  return undefined
}
