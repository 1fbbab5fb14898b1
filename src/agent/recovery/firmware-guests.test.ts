import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guestProfiles } from '../../model/guest.ts'
import { createMachineHost, webId } from '../machines/machine-host.fixture.ts'

const linux = { os: 'linux', ...guestProfiles.linux } as const

test('of a machine with UEFI variables or a TPM no image of memory is taken, and it runs on as it was', async () => {
  for (const guest of [{ ...linux, boot: 'uefi' } as const, { ...linux, tpm: true }]) {
    const host = await createMachineHost()
    await host.start(1, { guest })
    const layers = host.living()?.layers
    await assert.rejects(host.room.keeper(webId)?.capture('template') ?? Promise.resolve(), { code: 'image-unfit' })
    assert.equal(host.report()?.phase, 'running')
    assert.equal(host.living()?.layers, layers)
  }
})

test('variables and TPM are those beside the root disk, at each start', async () => {
  const host = await createMachineHost()
  await host.start(1, { guest: { ...linux, boot: 'uefi', tpm: true } })
  const { platform, kernel } = host.living()?.definition ?? {}
  assert.equal(kernel, undefined)
  assert.match(platform?.variablesPath ?? '', /\/firmware-variables\.fd$/)
  assert.match(platform?.tpmDirectory ?? '', /\/tpm$/)
})
