/**
 * One dnsmasq a network, which answers the machines of this host and nobody else: other hosts' servers share the segment. It tells
 * addresses (DHCP), and in a network of its own names (DNS) and the IPv6 prefix (router advertisements). It outlives the agent; whatever runs in its cgroup with the present arguments is taken over, anything else there is replaced.
 *
 * Leases are not kept on disk. A server that knows a machine's entry renews its address without having granted it (authoritative), so
 * that a machine which moved, or whose server was restarted, keeps its address; those that it doesn't know it ignores altogether.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { killCgroupAndWait, makeCgroup, processesIn } from '../../../linux/cgroup.ts'
import { runCommand } from '../../../linux/run-command.ts'
import { metadataAddress } from '../../../model/cloud-init.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { Logger } from '../../../model/logger.ts'
import { type DhcpHosts, needsNewServer, parseDhcpHosts, renderDhcpHosts } from './dhcp-hosts.ts'

export type DhcpServerOptions = {
  /** The interface that it listens on. */
  readonly bridge: string
  /** The network namespace of that interface, as a path; the present one without it. */
  readonly namespace?: string
  /** Name of its cgroup: `dnsmasq` without it. */
  readonly cgroupName?: string
  /** Answers names, too. `isForwarding`: also those of the world, as this host would. */
  readonly dns?: { readonly server: string; readonly domain: string; readonly isForwarding: boolean }
  /** The way to what tells machines who they are. */
  readonly metadataRouter?: string
  /** Advertised without a default route: IPv6 stays within the network. */
  readonly prefix6?: string
  /** Must exist; on a file system that a reboot empties, such as /run. */
  readonly runDirectory: string
  /** The host's cgroup v2 directory; dnsmasq runs in `dnsmasq` below it. */
  readonly cgroupDirectory: string
  /** The network, as 10.90.0.0 or 10.90.0.0/16. */
  readonly subnet: string
  readonly prefixLength: number
  /** Without one, machines get no default route. */
  readonly gateway?: string
  /** At least 120. */
  readonly leaseSeconds: number
  readonly mtu?: number
  readonly logger: Logger
  /** How often the server is looked at; 1000 ms. */
  readonly watchMs?: number
}

export type DhcpServer = AsyncDisposable & {
  /** Changes the entries and sees that a server runs which knows them. `network-failed` when it can't be started. */
  update(change: (hosts: DhcpHosts) => DhcpHosts): Promise<void>
  /** What DNS answers, as a hosts file. */
  setNames(text: string): Promise<void>
  /** Ends the server; nothing starts it again before the next update. */
  stop(): Promise<void>
}

const startTimeoutMs = 5000
const killTimeoutMs = 5000

/** Does nothing before the first update; from then on a server that died is started again, until it is disposed of. */
export function createDhcpServer(options: DhcpServerOptions): DhcpServer {
  let lastTurn: Promise<unknown> = Promise.resolve()
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const turn = lastTurn.then(work)
    lastTurn = turn.catch(() => undefined)
    return turn
  }
  let watch: NodeJS.Timeout | undefined
  let isLooking = false
  let isDisposed = false
  const look = () => {
    if (isLooking) return
    isLooking = true
    inTurn(() => restartIfDead(options))
      .catch((error: unknown) => options.logger.error('dhcp.not-started', { error }))
      .finally(() => {
        isLooking = false
      })
  }
  return {
    update(change) {
      if (!isDisposed) watch ??= setInterval(look, options.watchMs ?? 1000).unref()
      return inTurn(() => changeEntries(change, options))
    },
    setNames: (text) => inTurn(() => changeNames(text, options)),
    stop() {
      clearInterval(watch)
      watch = undefined
      return inTurn(() => killCgroupAndWait(serverCgroup(options), killTimeoutMs))
    },
    async [Symbol.asyncDispose]() {
      isDisposed = true
      clearInterval(watch)
      await lastTurn
    },
  }
}

async function changeEntries(change: (hosts: DhcpHosts) => DhcpHosts, options: DhcpServerOptions): Promise<void> {
  const before = await readHosts(options)
  const hosts = change(before)
  const isChanged = renderDhcpHosts(hosts) !== renderDhcpHosts(before)
  if (isChanged) await writeHosts(hosts, options)
  const processId = needsNewServer(hosts) ? undefined : await findServer(options)
  const knows = processId !== undefined && (!isChanged || readsAnew(processId))
  if (!knows) await replaceServer(hosts, options)
}

/** Makes the server read its entries; false when it died meanwhile. */
function readsAnew(processId: number): boolean {
  try {
    return process.kill(processId, 'SIGHUP')
  } catch {
    return false
  }
}

async function restartIfDead(options: DhcpServerOptions): Promise<void> {
  if ((await findServer(options)) !== undefined) return
  options.logger.warn('dhcp.restarted', { bridge: options.bridge })
  await replaceServer(await readHosts(options), options)
}

/** The process that is ours and runs as it would be started now; undefined when there is none, or anything besides. */
async function findServer(options: DhcpServerOptions): Promise<number | undefined> {
  const processIds = await processesIn(serverCgroup(options))
  const [processId] = processIds
  if (processId === undefined || processIds.length > 1) return undefined
  const commandLine = await readFile(`/proc/${processId}/cmdline`, 'utf8').catch(() => '')
  const wanted = ['dnsmasq', ...serverArguments(options)].map((argument) => `${argument}\0`).join('')
  return commandLine === wanted ? processId : undefined
}

async function replaceServer(hosts: DhcpHosts, options: DhcpServerOptions): Promise<void> {
  const cgroupDirectory = serverCgroup(options)
  await makeCgroup(cgroupDirectory)
  await killCgroupAndWait(cgroupDirectory, killTimeoutMs)
  // dnsmasq goes into the background once it listens, so what keeps it from doing so comes back as an error here.
  const { namespace } = options
  const enter = namespace === undefined ? [] : ['nsenter', `--net=${namespace}`]
  const [program = 'dnsmasq', ...args] = [...enter, 'dnsmasq', ...serverArguments(options)]
  await runCommand(program, args, {
    timeoutMs: startTimeoutMs,
    errorCode: 'network-failed',
    cgroupDirectory,
  })
  // Only now: had we died before, the next agent must know that the old server still remembers these leases.
  if (hosts.retired.size > 0) await writeHosts({ ...hosts, retired: new Map() }, options)
}

function serverArguments(options: DhcpServerOptions): string[] {
  const { bridge, runDirectory, subnet, prefixLength, gateway, leaseSeconds, mtu } = options
  return [
    '--conf-file=/dev/null',
    `--interface=${bridge}`,
    '--bind-interfaces',
    ...nameArguments(options),
    '--no-hosts',
    '--no-ping',
    `--dhcp-range=${networkAddress(subnet)},static,${netmaskOf(prefixLength)},${leaseSeconds}`,
    `--dhcp-hostsfile=${hostsPath(runDirectory)}`,
    '--dhcp-ignore=tag:!known',
    '--dhcp-authoritative',
    '--leasefile-ro',
    '--dhcp-lease-max=65535',
    ...routeArguments(options),
    gateway === undefined ? '--dhcp-option=3' : `--dhcp-option=3,${gateway}`,
    options.dns === undefined ? '--dhcp-option=6' : `--dhcp-option=6,${options.dns.server}`,
    ...(mtu === undefined ? [] : [`--dhcp-option=26,${mtu}`]),
    ...advertisementArguments(options),
    '--quiet-dhcp',
    `--log-facility=${join(runDirectory, 'dnsmasq.log')}`,
    '--pid-file=',
  ]
}

/** A client that takes these routes (RFC 3442) takes no other one: the default route has to be among them. */
function routeArguments({ metadataRouter, gateway }: DhcpServerOptions): string[] {
  if (metadataRouter === undefined) return []
  const toWorld = gateway === undefined ? '' : `,0.0.0.0/0,${gateway}`
  return [`--dhcp-option=121,${metadataAddress}/32,${metadataRouter}${toWorld}`]
}

function nameArguments({ dns, runDirectory }: DhcpServerOptions): string[] {
  if (dns === undefined) return ['--port=0', '--no-resolv']
  const { domain, isForwarding } = dns
  const names = [`--addn-hosts=${namesPath(runDirectory)}`, `--domain=${domain}`, `--local=/${domain}/`]
  return [...names, '--bogus-priv', '--domain-needed', ...(isForwarding ? [] : ['--no-resolv'])]
}

function advertisementArguments({ bridge, prefix6 }: DhcpServerOptions): string[] {
  if (prefix6 === undefined) return []
  const [address = ''] = prefix6.split('/')
  return ['--enable-ra', `--dhcp-range=${address},ra-stateless,64`, `--ra-param=${bridge},60,0`]
}

/** Without the prefix length, which is told apart. */
export function networkAddress(subnet: string): string {
  return subnet.replace(/\/.*$/, '')
}

function netmaskOf(prefixLength: number): string {
  const bits = (0xffffffff << (32 - prefixLength)) >>> 0
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.')
}

async function readHosts(options: DhcpServerOptions): Promise<DhcpHosts> {
  const text = await readFile(hostsPath(options.runDirectory), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw new DialtoneError('network-failed', `The DHCP entries in ${options.runDirectory} cannot be read`, {
      cause: error,
    })
  })
  return parseDhcpHosts(text)
}

async function writeHosts(hosts: DhcpHosts, options: DhcpServerOptions): Promise<void> {
  const path = hostsPath(options.runDirectory)
  // dnsmasq reads it as a user without rights.
  await writeFile(`${path}.new`, renderDhcpHosts(hosts), { mode: 0o644 })
  await rename(`${path}.new`, path)
}

async function changeNames(text: string, options: DhcpServerOptions): Promise<void> {
  const path = namesPath(options.runDirectory)
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return
  await writeFile(`${path}.new`, text, { mode: 0o644 })
  await rename(`${path}.new`, path)
  const processId = await findServer(options)
  if (processId !== undefined) readsAnew(processId)
}

function namesPath(runDirectory: string): string {
  return join(runDirectory, 'names')
}

function hostsPath(runDirectory: string): string {
  return join(runDirectory, 'dhcp-hosts')
}

function serverCgroup(options: DhcpServerOptions): string {
  return join(options.cgroupDirectory, options.cgroupName ?? 'dnsmasq')
}
