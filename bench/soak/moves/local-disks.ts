/** A machine whose disks only its host has: one is full from the beginning, to another one it writes all the time. */
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OpenLaboratory } from '../../../e2e/open-laboratory.ts'
import { findSecondWriters, readStamps } from '../../../recipes/tiny/read-stamps.ts'
import { waitForAnswer } from '../../../src/cli/demo/http-probe.ts'
import type { VmView } from '../../../src/model/api/views.ts'

const fullMiB = 64

export type LocalDisks = {
  readonly address: string
  /** What is wrong with its disks where they are now, in sentences. */
  examine(): Promise<readonly string[]>
}

export async function deployOnLocalDisks({ api, untilTaskEnds }: OpenLaboratory, name: string): Promise<LocalDisks> {
  const disks = [64, fullMiB].map((sizeMiB) => ({ sizeMiB, format: 'raw' as const }))
  const { vm, task } = await api.call('createVm', {
    body: { name, template: 'tiny', storage: 'local', host: 'h1', disks, start: false },
  })
  await untilTaskEnds(task.id)
  const content = randomBytes(fullMiB * 2 ** 20)
  await writeFile(await diskOf(vm, 2), content)
  await api.call('startVm', { params: { vm: name }, body: {} })
  await waitForAnswer({ address: vm.address, name }, { deadlineMs: 120_000 })
  const stamp = '/stamp?device=/dev/vdb&everyMs=5&host=mover&epoch=1&incarnation=0'
  const response = await fetch(`http://${vm.address}${stamp}`, { method: 'POST', signal: AbortSignal.timeout(20_000) })
  if (!response.ok) throw new Error(`the machine writes to no disk: ${response.status}`)
  return {
    address: vm.address,
    async examine() {
      const now = await api.call('getVm', { params: { vm: name } })
      const wrong = findSecondWriters(await readStamps(await diskOf(now, 1))).map(({ message }) => message)
      return (await readFile(await diskOf(now, 2))).equals(content) ? wrong : [...wrong, 'the full disk has changed']
    },
  }

  async function diskOf(of: VmView, index: number): Promise<string> {
    const { storages } = await api.call('listStorages', {})
    const { volumeId = '', storageId } = of.disks[index] ?? {}
    return join(storages.find(({ id }) => id === storageId)?.path ?? '', 'volumes', volumeId, 'disk.raw')
  }
}
