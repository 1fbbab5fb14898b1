import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloudInitSchema, maximumUserDataBytes, sshKeySchema, summarizeCloudInit } from './cloud-init.ts'

const told = (userData: string) => cloudInitSchema.safeParse({ userData, sshKeys: [], networkConfig: null })
const blob = 'A'.repeat(68)

test('user-data is text of a bounded size, counted in bytes', () => {
  assert(told('#cloud-config\n\tüñî: "💡"\r\n').success)
  assert(told('x'.repeat(maximumUserDataBytes)).success)
  assert(!told('x'.repeat(maximumUserDataBytes + 1)).success)
  assert(!told('é'.repeat(maximumUserDataBytes / 2 + 1)).success)
  assert(told('💡'.repeat(maximumUserDataBytes / 4)).success)
})

test('control characters, marks that hide and halves of characters are refused with what to do', () => {
  for (const hostile of ['a\0b', '\x1b[2J', '\x07', '\x7f', '\u0085', '\ufeff#cloud-config', 'x\ud800y', '\u009b31m']) {
    const answer = told(hostile)
    assert(!answer.success, JSON.stringify(hostile))
    assert.match(answer.error.message, /pack binary data into base64/)
  }
})

test('a key is one line of a known kind: nothing can follow it, and no options precede it', () => {
  for (const key of [
    `ssh-ed25519 ${blob}`,
    `ssh-rsa ${blob}== me@host`,
    `ecdsa-sha2-nistp256 ${blob} a b c`,
    `sk-ssh-ed25519@openssh.com ${blob}`,
  ])
    assert(sshKeySchema.safeParse(key).success, key)
  for (const key of [
    `ssh-ed25519 ${blob}\nssh-rsa ${blob}`,
    `command="rm" ssh-rsa ${blob}`,
    'ssh-ed25519 short',
    `ssh-ed25519 ${blob} a\tb`,
    '',
    `ssh-dss ${blob}`,
  ])
    assert(!sshKeySchema.safeParse(key).success, key)
})

test('a summary tells that there is something, and nothing of it', () => {
  assert.equal(summarizeCloudInit(null), null)
  const summary = summarizeCloudInit({ userData: 'secret', sshKeys: [`ssh-ed25519 ${blob}`], networkConfig: null })
  assert.deepEqual(summary, { hasUserData: true, sshKeys: 1, hasNetworkConfig: false })
})
