/** libvirt's two ways to bring a machine back after its QEMU has died: a boot, and the memory that was saved once. */
import { rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DialtoneError } from '../../../src/model/dialtone-error.ts'
import type { Peer } from '../peer.ts'
import { createTinyClient, fillMemory, readTinyAnswer } from '../tiny-guest.ts'
import { makeOverlay, virsh } from './libvirt-host.ts'
import { bootWithinMs } from './start-guest.ts'
import { openVirshMachine, type VirshMachine } from './virsh-machine.ts'

/** A life as short as this could not be told from the next by its uptime. */
const shortestLifeMs = 1000

/** libvirt as it comes: its event tells that the machine stopped, and `virsh start` boots it. */
export const virshStart: Peer = {
  name: 'virsh-start',
  async open(options) {
    const machine = await openVirshMachine(options)
    return {
      async sample() {
        const { card, host, domain } = machine
        using client = createTinyClient(card)
        const before = await client.untilCorrectAfter(0, { deadlineMs: bootWithinMs })
        const killedBoot = readTinyAnswer(before, card.name)?.bootId
        const killedAtMs = await machine.killQemu()
        await virsh(host, ['start', domain])
        const { answeredAtMs } = await client.untilCorrectAfter(killedAtMs, {
          deadlineMs: bootWithinMs,
          isCorrect: (answer) => readTinyAnswer(answer, card.name)?.bootId !== killedBoot,
        })
        return answeredAtMs - killedAtMs
      },
      [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
    }
  },
}

/**
 * The machine was saved once while it served; the event tells that it stopped, and `virsh restore` reads it back. The disk goes back to
 * that moment too, as it must: each life writes to a new overlay of the disk that was saved with it.
 */
export const virshRestore: Peer = {
  name: 'virsh-restore',
  async open(options) {
    await using undo = new AsyncDisposableStack()
    const machine = undo.use(await openVirshMachine(options))
    if (options.filledMiB > 0) await fillMemory(machine.card.address, options.filledMiB)
    const saved = await save(machine)
    options.note(`the saved machine takes ${Math.round(saved.bytes / 2 ** 20)} MiB`)
    if (saved.bytes < options.filledMiB * 2 ** 20)
      throw new DialtoneError('guest-silent', `the saved machine does not hold the ${options.filledMiB} MiB written to`)
    await makeOverlay(machine.disk, saved.disk)
    await virsh(machine.host, ['restore', saved.memory])
    const open = undo.move()
    return {
      sample: () => sampleRestore(machine, saved),
      [Symbol.asyncDispose]: () => open.disposeAsync(),
    }
  },
}

type SavedMachine = { readonly memory: string; readonly disk: string; readonly bytes: number }

async function save({ host, domain, disk }: VirshMachine): Promise<SavedMachine> {
  const memory = join(disk, '../saved-memory')
  const savedDisk = join(disk, '../saved-disk.qcow2')
  await virsh(host, ['save', domain, memory])
  await rename(disk, savedDisk)
  return { memory, disk: savedDisk, bytes: (await stat(memory)).size }
}

async function sampleRestore(machine: VirshMachine, saved: SavedMachine): Promise<number> {
  const { card, host, disk } = machine
  const read = (answer: { readonly status: number; readonly body: string }) => readTinyAnswer(answer, card.name)
  const nextDisk = `${disk}.next`
  await makeOverlay(nextDisk, saved.disk)
  using client = createTinyClient(card)
  await client.untilCorrectAfter(0, { deadlineMs: bootWithinMs })
  await delay(shortestLifeMs)
  const killedAtMs = await machine.killQemu()
  const last = client.lastCorrectBefore(killedAtMs)
  const before = last === undefined ? undefined : read(last)
  if (before === undefined) throw new DialtoneError('guest-silent', `${card.name} did not answer before it was killed`)
  await rename(nextDisk, disk)
  await virsh(host, ['restore', saved.memory])
  const { answeredAtMs } = await client.untilCorrectAfter(killedAtMs, {
    deadlineMs: bootWithinMs,
    isCorrect: (answer) => {
      const now = read(answer)
      // The same boot, gone on from where it was saved: an earlier moment than the one that it was killed at.
      return now !== undefined && now.bootId === before.bootId && now.uptimeMs < before.uptimeMs
    },
  })
  return answeredAtMs - killedAtMs
}
