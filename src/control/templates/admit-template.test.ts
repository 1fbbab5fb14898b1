import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeCluster, makeVm, sharedId, someTime, tinyTemplate, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import { kernelGuest } from '../../model/guest.ts'
import { templateIdSchema } from '../../model/ids.ts'
import { probeSchema } from '../../model/recovery/probe.ts'
import { templateManifestSchema } from '../../model/template-manifest.ts'
import {
  admitTemplate,
  findTemplate,
  machinesOf,
  refuseTemplateDeletion,
  type TemplateWish,
  versionsOf,
} from './admit-template.ts'
import { describeTemplate } from './describe-template.ts'

const vm = makeVm('web')
const madeFrom = { vmName: 'web', snapshotName: null, takenAt: someTime, consistency: 'guest-frozen' } as const
const version = (name: string, number: number) => ({
  ...tinyTemplate,
  id: templateIdSchema.parse(`tpl-aaaaaaa${number}`),
  ...{ name, version: `${name}-${number}`, builtAt: `2026-03-0${number}T12:00:00.000Z`, madeFrom },
})

function ask(changes: Partial<TemplateWish> = {}, spec: Partial<typeof vm.spec> = {}, taken: readonly string[] = []) {
  const asked = { ...vm, spec: { ...vm.spec, ...spec } }
  const cluster = makeCluster({ vms: [asked], templates: [version('shop', 1), version('shop', 2)] })
  const wish = { name: 'shop', rootOnly: false, ...changes }
  const admission = admitTemplate(cluster, asked, { wish, snapshotName: 'for-a', taken })
  return admission.kind === 'admitted' ? admission.version : admission.message
}

describe('a template from a machine', () => {
  test('is the next version of its name, past those that there are, were, or that others have there', () => {
    assert.equal(ask(), 'shop-3')
    assert.equal(ask({ name: 'mine' }), 'mine-1')
    assert.equal(ask({}, {}, ['shop-3', 'shop-4']), 'shop-5')
    assert.equal(ask({ version: 'spring' }), 'shop-spring')
    assert.match(ask({ version: '2' }), /^there is, or was, a template of version shop-2/)
    assert.match(ask({ version: '9' }, {}, ['shop-9']), /^there is, or was, a template of version shop-9/)
    assert.match(ask({ name: 'shop-1' }), /is a version of another template/)
    assert.match(ask({ name: 'blank' }), /empty disks/)
  })

  test('is refused with the reason: further disks, a TPM, less memory than its system needs, disks that are worked on', () => {
    const second = { volumeId: volumeIdOf('more'), storageId: sharedId, format: 'qcow2', sizeMiB: 64 } as const
    const disks = [...vm.spec.disks, second]
    assert.match(ask({}, { disks }), /another disk.*--root-only/)
    assert.equal(ask({ rootOnly: true }, { disks }), 'shop-3')
    assert.match(ask({}, { guest: { ...kernelGuest, boot: 'uefi', tpm: true } }), /TPM/)
    assert.match(ask({ memoryMiB: 32 }), /at least 64 MiB/)
    assert.match(ask({}, { disks: [{ ...second, format: 'raw' }] }), /raw disk/)
    assert.match(ask({}, { lifecycle: 'deleting' }), /deleting/)
  })

  test('is what new machines of its name are made from; those that there are stay on theirs, and keep it from being deleted', () => {
    const [one, two] = [version('shop', 1), version('shop', 2)]
    const old = makeVm('old', { spec: { templateId: one.id, templateVersion: one.version } })
    const cluster = makeCluster({ vms: [vm, old], templates: [one, two] })
    assert.equal(findTemplate(cluster, 'shop'), two)
    assert.equal(findTemplate(cluster, 'shop-1'), one)
    assert.deepEqual(versionsOf(cluster, 'shop'), [two, one])
    assert.deepEqual(machinesOf(cluster, one), ['old'])
    assert.match(refuseTemplateDeletion(cluster, one)?.message ?? '', /^shop-1 is the template of old/)
    assert.equal(refuseTemplateDeletion(cluster, two), undefined)
    assert.match(refuseTemplateDeletion(cluster, { ...two, name: 'blank' })?.message ?? '', /it stays/)
  })
})

describe('what the paper of a template says', () => {
  const base = templateManifestSchema.parse({
    ...tinyTemplate,
    formatVersion: 1,
    files: { 'root.qcow2': { bytes: 1, sha256: '0'.repeat(64) } },
    ...{ ports: [80], guestAgent: true, residentAgent: true, reseedsOnResume: true, guest: undefined },
    madeFrom: undefined,
    origin: undefined,
  })
  const { takenAt, consistency, snapshotName } = madeFrom
  const instant = { takenAt, consistency, snapshotName }
  const machine = { name: 'web', cpus: 2, memoryMiB: 512, hardware: vm.spec.hardware, templateVersion: 'tiny-1' }
  const parameters = { name: 'shop', version: 'shop-1', note: '' }

  test('is the size and probe of its machine, and for the rest what its own template says', () => {
    const check = { kind: 'tcp', port: 8080 } as const
    const probe = probeSchema.parse({ check, everyMs: 250 })
    const paper = describeTemplate(parameters, {
      ...{ vm: { ...vm.spec, probe }, base, instant: { ...instant, machine } },
    })
    assert.deepEqual([paper.defaultCpus, paper.defaultMemoryMiB, paper.ports], [2, 512, [80]])
    assert.deepEqual([paper.residentAgent, paper.commandLine, paper.guest], [true, base.commandLine, undefined])
    assert.deepEqual(paper.madeFrom, madeFrom)
    assert.deepEqual(paper.readiness, probe.check)
    const without = describeTemplate(parameters, { vm: vm.spec, base, instant: { ...instant, machine } })
    assert.deepEqual(without.readiness, base.readiness)
  })

  test('is what was said for it; and how a machine without a kernel of its own boots', () => {
    const guest = { ...kernelGuest, os: 'windows', boot: 'bios' } as const
    const wanted = { ...parameters, note: 'for the shop', memoryMiB: 256, cpus: 1, ports: [22] }
    const paper = describeTemplate(wanted, {
      ...{ vm: { ...vm.spec, guest }, base, instant: { ...instant, machine } },
    })
    assert.deepEqual(
      [paper.description, paper.defaultMemoryMiB, paper.defaultCpus, paper.ports],
      ['for the shop', 256, 1, [22]],
    )
    assert.deepEqual([paper.os, paper.guest], ['windows', guest])
  })
})
