/**
 * Pacemaker over corosync and libvirt: three hosts, of which the third only votes, and fencing that confirms at once. A host's power is
 * cut, and the machine boots on the other.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { homeOf } from '../../../src/laboratory/laboratory-folders.ts'
import { DialtoneError } from '../../../src/model/dialtone-error.ts'
import { installPeerPackages, pacemakerPackages } from '../debian-peer-packages.ts'
import { domainXml } from '../libvirt/domain-xml.ts'
import { libvirtFolders, makeOverlay, startLibvirt, virsh } from '../libvirt/libvirt-host.ts'
import type { OpenPeer, Peer, PeerOptions } from '../peer.ts'
import { openPeerHost, type PeerHost } from '../peer-host.ts'
import { openPeerNetwork, type PeerGuestCard, type PeerNetwork } from '../peer-network.ts'
import { createTinyClient, findTinyGuest, readTinyAnswer } from '../tiny-guest.ts'
import { clusterResources, corosyncConf } from './cluster-configuration.ts'
import { clusterFolders, enterResources, startCluster, untilOnline } from './cluster-host.ts'

/** With corosync's own times. */
export const pacemaker: Peer = { name: 'pacemaker', open: (options) => openPacemaker(options, undefined) }

/** With a token as short as is usual on a quiet network of a few nodes. */
export const pacemakerTuned: Peer = { name: 'pacemaker-tuned', open: (options) => openPacemaker(options, 1000) }

const answerWithinMs = 180_000
/** A cluster goes on with small things for a while after the last node came. */
const settleMs = 3000

async function openPacemaker(options: PeerOptions, tokenMs: number | undefined): Promise<OpenPeer> {
  await installPeerPackages(pacemakerPackages, options.note)
  const home = homeOf(process.env)
  await using undo = new AsyncDisposableStack()
  const network = undo.use(await openPeerNetwork(home))
  const domainFile = await writeDomain(network, home, options.memoryMiB)
  const hosts: PeerHost[] = []
  for (const number of [1, 2, 3])
    hosts.push(undo.use(await openPeerHost(network, number, [...libvirtFolders, ...clusterFolders])))
  const [first, second, voter] = hosts
  if (first === undefined || second === undefined || voter === undefined) throw new RangeError('three hosts')
  const configuration = corosyncConf(hosts, tokenMs)
  const start = async (host: PeerHost) => {
    if (host !== voter) await startLibvirt(host)
    await startCluster(host, configuration)
  }
  for (const host of hosts) await start(host)
  options.note('waits for the cluster')
  await untilOnline(voter, hosts.length)
  await enterResources(voter, clusterResources({ nodes: hosts, voter: voter.name, domainFile }))
  {
    using client = createTinyClient(network.guest)
    await client.untilCorrectAfter(0, { deadlineMs: answerWithinMs })
  }
  await delay(settleMs)
  const open = undo.move()
  return {
    async sample() {
      const holder = await holderOf([first, second], network.guest.name)
      const tookMs = await loseHost(holder, network.guest)
      await holder.powerOn()
      await start(holder)
      await untilOnline(voter, hosts.length)
      await delay(settleMs)
      return tookMs
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

/** The disk lies where all hosts reach it; QEMU's own locks are all that is between two writers. */
async function writeDomain(network: PeerNetwork, home: string, memoryMiB: number): Promise<string> {
  const guest = await findTinyGuest(home)
  const disk = join(network.folder, 'disk.qcow2')
  const file = join(network.folder, 'domain.xml')
  await makeOverlay(disk, guest.rootDisk)
  await writeFile(file, domainXml({ guest, card: network.guest, memoryMiB, disk }))
  return file
}

async function holderOf(hosts: readonly PeerHost[], domain: string): Promise<PeerHost> {
  for (const host of hosts) {
    const running = await virsh(host, ['list', '--name'])
    if (running.split('\n').includes(domain)) return host
  }
  throw new DialtoneError('guest-silent', `no host of the cluster runs ${domain}`)
}

/** Cuts the power of the machine's host; resolves with the milliseconds to the first answer of its next boot. */
async function loseHost(holder: PeerHost, card: PeerGuestCard): Promise<number> {
  using client = createTinyClient(card)
  const before = await client.untilCorrectAfter(0, { deadlineMs: answerWithinMs })
  const lostBoot = readTinyAnswer(before, card.name)?.bootId
  const killedAtMs = performance.now()
  await holder.cutPower()
  const { answeredAtMs } = await client.untilCorrectAfter(killedAtMs, {
    deadlineMs: answerWithinMs,
    isCorrect: (answer) => readTinyAnswer(answer, card.name)?.bootId !== lostBoot,
  })
  return answeredAtMs - killedAtMs
}
