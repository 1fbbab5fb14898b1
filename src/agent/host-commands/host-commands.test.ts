import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { HostCommandReport } from '../../model/host-command.ts'
import { createHostCommands, type HostCommands } from './host-commands.ts'

let home: string
/** Plain folders stand in for cgroups: a command moves itself in by writing into a file, and none of them says that it is populated. */
let commands: HostCommands
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'dialtone-commands-'))
  commands = createHostCommands({ directory: join(home, 'runs'), cgroupDirectory: join(home, 'groups') })
})
afterEach(() => rm(home, { recursive: true }))

async function untilEnded(runId: string, command: string): Promise<HostCommandReport> {
  for (let look = 0; look < 200; look += 1) {
    const report = await commands.run(runId, command)
    if (report.state === 'ended') return report
    await delay(25)
  }
  throw new Error('it did not end')
}

test('a command runs in a shell, and its exit code and output are kept', async () => {
  const report = await untilEnded('task-aaaaaaaa', 'echo one; echo two >&2; exit 3')
  assert.deepEqual(report, { state: 'ended', exitCode: 3, output: 'one\ntwo\n' })
})

test('an order that is repeated, also to another agent, finds the run that was begun', async () => {
  const command = `echo x >> ${home}/times`
  await untilEnded('task-aaaaaaaa', command)
  commands = createHostCommands({ directory: join(home, 'runs'), cgroupDirectory: join(home, 'groups') })
  await untilEnded('task-aaaaaaaa', command)
  assert.equal(await readFile(join(home, 'times'), 'utf8'), 'x\n')
  await untilEnded('task-bbbbbbbb', command)
  assert.equal(await readFile(join(home, 'times'), 'utf8'), 'x\nx\n')
})

test('one that is gone without an exit code was cut off', async () => {
  await commands.run('task-aaaaaaaa', 'kill -9 $PPID; sleep 60')
  for (let look = 0; look < 100 && (await commands.run('task-aaaaaaaa', '')).state === 'running'; look += 1)
    await delay(25)
  assert.deepEqual(await commands.run('task-aaaaaaaa', ''), { state: 'cut-off', exitCode: null, output: '' })
})

test('of long output the end is kept', async () => {
  const { output } = await untilEnded('task-aaaaaaaa', 'seq 1 100000')
  assert.equal(output.length, 16_384)
  assert.ok(output.endsWith('99999\n100000\n'))
})
