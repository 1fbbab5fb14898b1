import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { activityOf, findMissing, readPackageList } from './install-debian-packages.mjs'
import { agree } from './install-npm-packages.mjs'
import { runProgram } from './run-program.mjs'

suite('Debian packages', () => {
  const packages = [
    { name: 'iproute2', provides: 'ip', reason: 'bridges' },
    { name: 'qemu-utils', provides: 'qemu-img', reason: 'disks' },
  ]
  const missingNames = (states: Readonly<Record<string, string>>, programs: readonly string[]) =>
    findMissing(
      packages,
      () => new Map(Object.entries(states)),
      (program) => programs.includes(program),
    ).map(({ name }) => name)

  test('nothing is missing when dpkg has finished with all of them', () => {
    assert.deepEqual(missingNames({ iproute2: 'installed', 'qemu-utils': 'installed' }, []), [])
  })

  test('a package that dpkg does not know is missing', () => {
    assert.deepEqual(missingNames({ iproute2: 'installed' }, ['ip']), ['qemu-utils'])
  })

  test("an operator's own program is as good as the package", () => {
    assert.deepEqual(missingNames({ iproute2: 'installed' }, ['ip', 'qemu-img']), [])
  })

  test('a package that dpkg began with and did not finish is missing, though its program is there', () => {
    assert.deepEqual(missingNames({ iproute2: 'half-configured', 'qemu-utils': 'installed' }, ['ip', 'qemu-img']), [
      'iproute2',
    ])
  })

  test('each package of the list says why it is there', () => {
    for (const { name, provides, reason } of readPackageList()) {
      assert.ok(name !== '' && provides !== '' && reason !== '', name)
    }
  })

  test('what apt reports becomes a sentence', () => {
    assert.equal(activityOf('dlstatus:1:33.3333:Retrieving file 1 of 3'), 'downloading 33%: Retrieving file 1 of 3')
    assert.equal(activityOf('pmstatus:ip:40.0:Unpacking ip (amd64)'), 'installing 40%: Unpacking ip (amd64)')
    assert.equal(activityOf('pmstatus:libc6:amd64:55.5:Setting up'), 'installing 56%: Setting up')
    assert.equal(activityOf('anything else'), undefined)
  })
})

suite('npm packages', () => {
  const zod = { version: '4.6.7', integrity: 'sha512-a' }
  const locked = { '': {}, 'node_modules/zod': zod, 'node_modules/for-arm': { version: '1.0.0', optional: true } }

  test('are in accord when all that is not optional is there as locked', () => {
    assert.equal(agree(locked, { 'node_modules/zod': zod }), true)
  })

  test('are not if nothing is installed, one is absent, of another version, or not locked', () => {
    assert.equal(agree(locked, undefined), false)
    assert.equal(agree(locked, {}), false)
    assert.equal(agree(locked, { 'node_modules/zod': { ...zod, version: '4.6.6' } }), false)
    assert.equal(agree(locked, { 'node_modules/zod': zod, 'node_modules/other': { version: '1.0.0' } }), false)
  })
})

suite('a program of the set-up', () => {
  test('is heard on its output and on its status descriptor', async () => {
    const lines: string[] = []
    const statuses: string[] = []
    const output = await runProgram(['sh', '-c', 'echo out; echo err >&2; echo 40% >&3'], {
      timeoutMs: 10_000,
      onLine: (line) => lines.push(line),
      onStatus: (line) => statuses.push(line),
    })
    assert.deepEqual([lines.toSorted(), statuses], [['err', 'out'], ['40%']])
    assert.match(output, /out/)
  })

  test('that fails is quoted', async () => {
    await assert.rejects(
      runProgram(['sh', '-c', 'echo no room; exit 3'], { timeoutMs: 10_000 }),
      /no room\nsh ended with 3/,
    )
  })

  test('that takes too long is ended', async () => {
    await assert.rejects(runProgram(['sleep', '60'], { timeoutMs: 100 }), /sleep was ended by SIGTERM/)
  })
})
