/** One host of a peer: network, mount, process and host name namespaces, in which its daemons believe to be alone. */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { hostAddress } from '../../src/laboratory/choose-subnet.ts'
import { bridgeCommands } from '../../src/laboratory/fabric.ts'
import { addNetworkNamespace, runIpCommands } from '../../src/linux/network-namespace.ts'
import { runCommand } from '../../src/linux/run-command.ts'
import { DialtoneError } from '../../src/model/dialtone-error.ts'
import { type HeldNamespaces, holdNamespaces } from './held-namespaces.ts'
import type { PeerNetwork } from './peer-network.ts'

export type PeerHost = AsyncDisposable & {
  readonly name: string
  readonly address: string
  /** Its private folders are below it, by their own paths: `/etc/libvirt` is `FOLDER/etc/libvirt`. */
  readonly folder: string
  /** Runs a program on the host to its end, without a shell. Throws `machine-setup` with its last words when it fails. */
  run(command: readonly string[], timeoutMs?: number): Promise<string>
  /** Program and arguments that run a command on the host. */
  enter(command: readonly string[]): readonly [string, ...string[]]
  /** The machine's number of a process that has this one on the host. */
  pidOf(innerPid: number): Promise<number>
  /** A power cut: everything on it dies in one instant. Its disks stay. */
  cutPower(): Promise<void>
  powerOn(): Promise<void>
}

const hostInit = join(import.meta.dirname, 'host-init.sh')
const defaultTimeoutMs = 30_000

/** Host 1, 2, … of the network, which outlives it, with a bridge `br0` for guests, switched on. `privateFolders` start as copies of the machine's. */
export async function openPeerHost(
  network: PeerNetwork,
  number: number,
  privateFolders: readonly string[],
): Promise<PeerHost> {
  const name = `n${number}`
  const namespace = `${network.name}-${name}`
  const address = hostAddress(network.subnet, number)
  const folder = join(network.folder, name)
  let held: HeldNamespaces | undefined
  await using undo = new AsyncDisposableStack()
  undo.defer(async () => held?.kill())
  await addNetworkNamespace(namespace)
  await runIpCommands(
    [
      ...bridgeCommands(),
      `address add ${address}/${network.prefixLength} dev br0`,
      `link add dev up0 type veth peer name ${name} netns ${network.fabricNamespace}`,
      'link set dev up0 master br0 up',
    ],
    { namespace },
  )
  const port = (change: string) =>
    runIpCommands([`link set dev ${name} ${change}`], { namespace: network.fabricNamespace })
  await port('master br0')
  const powerOn = async () => {
    await port('up')
    held = await holdNamespaces(namespace, ['/bin/sh', hostInit, folder, name, ...privateFolders])
  }
  const poweredPid = () => {
    if (held === undefined) throw new DialtoneError('machine-setup', `${name} of ${network.name} is off`)
    return held.pid
  }
  const enter = (command: readonly string[]) =>
    ['nsenter', `--target=${poweredPid()}`, '--mount', '--uts', '--net', '--pid', '--', ...command] as const
  await powerOn()
  const open = undo.move()
  return {
    name,
    address,
    folder,
    enter,
    run(command, timeoutMs = defaultTimeoutMs) {
      const [program, ...args] = enter(command)
      return runCommand(program, args, { timeoutMs })
    },
    pidOf: (innerPid) => findOuterPid(poweredPid(), innerPid),
    async cutPower() {
      const dying = held?.kill()
      held = undefined
      // The kernel lives on and would answer for the host.
      await port('down')
      await dying
    },
    powerOn,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

async function findOuterPid(initPid: number, innerPid: number): Promise<number> {
  const namespace = await readlink(`/proc/${initPid}/ns/pid`)
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  for (const pid of pids) {
    // Processes come and go meanwhile.
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    const innermost = /^NSpid:.*\t(\d+)$/m.exec(status)?.[1]
    if (Number(innermost) !== innerPid) continue
    if ((await readlink(`/proc/${pid}/ns/pid`).catch(() => '')) === namespace) return Number(pid)
  }
  throw new DialtoneError('machine-setup', `the host of process ${initPid} has no process ${innerPid}`)
}
