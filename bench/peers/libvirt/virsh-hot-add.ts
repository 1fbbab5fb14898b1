/** Memory, a processor or a disk comes under libvirt: `attach-device`, `setvcpus`, `attach-disk`, each on a fresh boot of the guest. */
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { homeOf } from '../../../src/laboratory/laboratory-folders.ts'
import { DialtoneError } from '../../../src/model/dialtone-error.ts'
import { type Growth, grown, sizeOfGuest, untilGuestHas } from '../../grown-guest.ts'
import { installPeerPackages, libvirtPackages } from '../debian-peer-packages.ts'
import type { PeerHost } from '../peer-host.ts'
import { openPeerNetwork } from '../peer-network.ts'
import { createTinyClient, findTinyGuest } from '../tiny-guest.ts'
import { openLibvirtHost, virsh } from './libvirt-host.ts'
import { bootWithinMs, startGuest } from './start-guest.ts'

export type VirshHotAdd = AsyncDisposable & {
  /** Milliseconds from the order until the guest is seen to have it. */
  sample(growth: Growth): Promise<number>
}

/** Installs libvirt if need be; the guest has room to grow. */
export async function openVirshHotAdd(note: (line: string) => void): Promise<VirshHotAdd> {
  await installPeerPackages(libvirtPackages, note)
  const home = homeOf(process.env)
  const guest = await findTinyGuest(home)
  await using undo = new AsyncDisposableStack()
  const network = undo.use(await openPeerNetwork(home))
  const host = undo.use(await openLibvirtHost(network, 1))
  const { memoryMiB } = grown.before
  const { domain } = await startGuest(host, { network, guest, memoryMiB, canGrow: true })
  const { address } = network.guest
  const data = join(network.folder, 'data.raw')
  const memory = join(network.folder, 'memory.xml')
  await writeFile(data, '')
  await truncate(data, grown.diskMiB * 2 ** 20)
  await writeFile(memory, memoryXml(grown.memoryMiB - memoryMiB))
  const orders: Readonly<Record<Growth, () => Promise<unknown>>> = {
    memory: () => virsh(host, ['attach-device', domain, memory, '--live']),
    cpu: () => addProcessor(host, domain),
    disk: () => virsh(host, ['attach-disk', domain, data, 'vdb', '--live', '--subdriver', 'raw', '--cache', 'none']),
  }
  const open = undo.move()
  return {
    async sample(growth) {
      await virsh(host, ['destroy', domain])
      await virsh(host, ['start', domain])
      using client = createTinyClient(network.guest)
      await client.untilCorrectAfter(performance.now(), { deadlineMs: bootWithinMs })
      await untilAgentAnswers(host, domain)
      const before = await sizeOfGuest(address)
      const fromMs = performance.now()
      await orders[growth]()
      return (await untilGuestHas(address, growth, before)) - fromMs
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

/** It comes up after what the guest serves. */
async function untilAgentAnswers(host: PeerHost, domain: string): Promise<void> {
  const givesUpAtMs = performance.now() + bootWithinMs
  for (;;) {
    const refusal = await virsh(host, ['qemu-agent-command', domain, '{"execute":"guest-ping"}']).then(
      () => undefined,
      (error: unknown) => error,
    )
    if (refusal === undefined) return
    if (performance.now() > givesUpAtMs)
      throw new DialtoneError('guest-silent', `the agent in ${domain} does not answer`, { cause: refusal })
    await delay(100)
  }
}

/** The guest has no rule that brings a processor into use, so its agent is asked to, as libvirt offers it. */
async function addProcessor(host: PeerHost, domain: string): Promise<void> {
  await virsh(host, ['setvcpus', domain, `${grown.cpus}`, '--live'])
  await virsh(host, ['setvcpus', domain, `${grown.cpus}`, '--guest'])
}

function memoryXml(sizeMiB: number): string {
  return `<memory model='dimm'><target><size unit='MiB'>${sizeMiB}</size><node>0</node></target></memory>\n`
}
