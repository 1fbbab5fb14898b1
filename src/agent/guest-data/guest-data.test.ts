import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { networkIdSchema } from '../../model/ids.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import { sampleOrder } from '../machines/machine-host.fixture.ts'
import { answerFor, answerMetadata } from './answer-metadata.ts'
import { makeSeed } from './make-seed.ts'
import { noCloudFiles } from './nocloud-files.ts'

const networkId = networkIdSchema.parse('net-aaaaaaaa')
const key = `ssh-ed25519 ${'A'.repeat(68)} me@here`
const nic = { macAddress: '52:54:00:00:00:07', address: '10.0.0.7', address6: null, networkId, mtu: null }
const machine = (changes: Partial<MachineOrder> = {}) =>
  sampleOrder({ nic, cloudInit: { userData: '#!/bin/sh\n', sshKeys: [key], networkConfig: null }, ...changes })
const ask = (path: string, from = machine()) => answerMetadata(from, from.nic, { method: 'GET', path })

test('leaves are told as they are, folders as lists, and what isn’t there is not found', () => {
  assert.equal(ask('/latest/meta-data/instance-id').body, machine().vmId)
  assert.equal(ask('/2009-04-04/meta-data/local-ipv4').body, '10.0.0.7')
  assert.equal(ask('/latest/meta-data/public-keys/0/openssh-key').body, key)
  assert.equal(ask('/latest/meta-data/public-keys/').body, '0=key-0')
  assert.match(ask('/latest/meta-data').body, /^hostname$/m)
  assert.match(ask('/latest/meta-data').body, /^public-keys\/$/m)
  assert.equal(ask('/latest/user-data?x=1').body, '#!/bin/sh\n')
  assert.match(ask('/').body, /^latest$/m)
  for (const path of [
    '/latest/meta-data/nothing',
    '/latest/meta-data/hostname/deeper',
    '/oldest/meta-data',
    '/latest/constructor',
    '/latest/../x',
  ])
    assert.equal(ask(path).status, 404, path)
  assert.equal(ask('/latest/user-data', machine({ cloudInit: null })).status, 404)
  assert.equal(answerMetadata(machine(), nic, { method: 'PUT', path: '/latest/api/token' }).status, 405)
})

test('a machine is known by its address in that network: the same address elsewhere is somebody else’s', () => {
  const question = { method: 'GET', path: '/latest/meta-data/hostname', networkId, address: '10.0.0.7' }
  const second = { ...nic, number: 1, networkId: networkIdSchema.parse('net-bbbbbbbb'), address: '10.0.0.9' }
  const all = [
    machine({ name: 'one' }),
    machine({ name: 'two', nic: { ...nic, address: '10.0.0.8' }, moreNics: [second] }),
  ]
  assert.equal(answerFor(question, all).body, 'one')
  assert.equal(answerFor({ ...question, networkId: second.networkId }, all).status, 404)
  assert.equal(answerFor({ ...question, networkId: second.networkId, address: '10.0.0.9' }, all).body, 'two')
  assert.equal(answerFor({ ...question, address: '10.0.0.99' }, all).status, 404)
})

test('a seed names the machine, its keys and its cards; what its owner said stands in it unchanged', () => {
  const files = noCloudFiles(machine({ moreNics: [{ ...nic, number: 2, macAddress: '52:54:00:00:00:09' }] }))
  assert.deepEqual(JSON.parse(files['meta-data']), {
    'instance-id': machine().vmId,
    'local-hostname': 'web',
    'public-keys': [key],
  })
  assert.equal(files['user-data'], '#!/bin/sh\n')
  assert.match(files['network-config'], /"nic2"[^}]*52:54:00:00:00:09/)
  const own = machine({ cloudInit: { userData: null, sshKeys: [], networkConfig: 'version: 1\n' } })
  assert.equal(noCloudFiles(own)['network-config'], 'version: 1\n')
  assert.match(noCloudFiles(own)['user-data'], /^#cloud-config/)
})

test('a clone by disks is told by its seed to take another machine id, and nobody else is', () => {
  const files = noCloudFiles(machine({ isUntoldClone: true }))
  assert.match(files['vendor-data'] ?? '', /^#cloud-config\n{"bootcmd":.*cloud-init-per","instance".*machine-id-setup/)
  assert.deepEqual(Object.keys(noCloudFiles(machine())), ['meta-data', 'user-data', 'network-config'])
})

test('a seed is a disc that cloud-init looks for, readable by root only, and the same to the byte each time', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'dialtone-seed-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const [one, other] = [join(folder, 'one.iso'), join(folder, 'other.iso')]
  await makeSeed(machine(), one)
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  await makeSeed(machine(), other)
  const content = await readFile(one)
  assert.equal(content.toString('latin1', 32_769, 32_774), 'CD001')
  assert.match(content.toString('latin1', 32_808, 32_840), /^cidata /i)
  assert.deepEqual(await readFile(other), content)
  assert.equal((await stat(one)).mode & 0o777, 0o600)
  assert.deepEqual((await readdir(folder)).sort(), ['one.iso', 'other.iso'])
})
