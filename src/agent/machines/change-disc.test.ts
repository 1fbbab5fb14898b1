import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guestProfiles } from '../../model/guest.ts'
import { isoIdSchema } from '../../model/ids.ts'
import { createMachineHost, webId } from './machine-host.fixture.ts'

const [one, other] = ['iso-aaaaaaaa', 'iso-bbbbbbbb'].map((id) => isoIdSchema.parse(id))
const guest = { os: 'linux', ...guestProfiles.linux } as const

test('a disc is in the drive first and then written down, so that the next life has it, too', async () => {
  const host = await createMachineHost()
  await host.start(1, { guest, cdroms: [one ?? null] })
  const change = { drive: 1, isoId: other ?? null, isForced: false }
  await host.room.keeper(webId)?.changeDisc(change)
  assert.deepEqual(
    [...(host.living()?.discs ?? [])],
    [
      [0, `/discs/${one}`],
      [1, `/discs/${other}`],
    ],
  )
  assert.deepEqual(host.records.get(webId)?.machine.cdroms, [one, other])
})

test('a machine that is started with a kernel has no drive, and nothing changes', async () => {
  const host = await createMachineHost()
  await host.start(1)
  const change = { drive: 0, isoId: one ?? null, isForced: false }
  await assert.rejects(host.room.keeper(webId)?.changeDisc(change) ?? Promise.resolve(), /there is no drive 0/)
  assert.deepEqual(host.records.get(webId)?.machine.cdroms, [])
})
