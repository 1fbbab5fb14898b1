/**
 * Network namespaces by name (`ip netns`), and `ip` inside them. Entered with nsenter: `ip -n` and `ip netns exec` remount /sys, which
 * hides the cgroup tree, and fail in a bare chroot.
 */
import { readdir } from 'node:fs/promises'
import { DialtoneError } from '../model/dialtone-error.ts'
import { runCommand } from './run-command.ts'

const namespaceDirectory = '/run/netns'
const timeoutMs = 15_000

/** Where the kernel's handle of a namespace is: of a named one, or the path itself. */
export function networkNamespacePath(name: string): string {
  return name.startsWith('/') ? name : `${namespaceDirectory}/${name}`
}

export async function listNetworkNamespaces(): Promise<string[]> {
  return readdir(namespaceDirectory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
}

/** Makes an empty namespace with its loopback up and without IPv6. */
export async function addNetworkNamespace(name: string): Promise<void> {
  await runCommand('ip', ['netns', 'add', name], { timeoutMs, errorCode: 'network-failed' })
  await runCommand('nsenter', [`--net=${networkNamespacePath(name)}`, '/bin/sh', '-c', prepareScript], {
    timeoutMs,
    errorCode: 'network-failed',
  })
}

/** A missing one is fine. What still runs in it keeps it alive, without a name. */
export async function deleteNetworkNamespace(name: string): Promise<void> {
  if (!(await listNetworkNamespaces()).includes(name)) return
  try {
    await runCommand('ip', ['netns', 'del', name], { timeoutMs, errorCode: 'network-failed' })
  } catch (error) {
    if ((await listNetworkNamespaces()).includes(name)) throw error
  }
}

/** Runs `ip` commands, one a string and without the leading `ip`, in this namespace or in the present one. Stops at the first that fails. */
export async function runIpCommands(
  commands: readonly string[],
  options: { readonly namespace?: string; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const { namespace, signal } = options
  const enter = namespace === undefined ? [] : ['nsenter', `--net=${networkNamespacePath(namespace)}`]
  const [program, ...args] = [...enter, 'ip', '-batch', '-']
  const input = `${commands.join('\n')}\n`
  try {
    const common = { timeoutMs, input, errorCode: 'network-failed' } as const
    await runCommand(program, args, signal === undefined ? common : { ...common, signal })
  } catch (error) {
    if (!(error instanceof DialtoneError)) throw error
    const line = Number(/Command failed -:(\d+)/.exec(error.message)?.[1])
    const command = commands[line - 1] ?? commands.join('; ')
    throw new DialtoneError(error.code, `ip ${command}: ${error.message}`, { cause: error })
  }
}

/** Deletes a network interface of the present namespace; a missing one is fine. */
export async function deleteInterface(name: string, namespace?: string): Promise<void> {
  try {
    await runIpCommands([`link del dev ${name}`], namespace === undefined ? {} : { namespace })
  } catch (error) {
    if (error instanceof Error && /Cannot find device|No such (?:device|file)/.test(error.message)) return
    throw error
  }
}

// /proc/sys may be read-only in a container: IPv6 then stays on, which hurts nobody.
const prepareScript = `
for set in all default; do
  [ -w /proc/sys/net/ipv6/conf/$set/disable_ipv6 ] && echo 1 > /proc/sys/net/ipv6/conf/$set/disable_ipv6
done 2> /dev/null
ip link set dev lo up`
