/**
 * Cuts, thins out and delays what goes between the ports of a laboratory's fabric: by nftables on its bridge, so that it holds whatever
 * becomes of the hosts, and by a queue on a host's port. Nobody in the laboratory can see it but by what doesn't arrive.
 */
import { fabricNamespaceOf, storagePort } from '../src/laboratory/laboratory-names.ts'
import { networkNamespacePath } from '../src/linux/network-namespace.ts'
import { runCommand } from '../src/linux/run-command.ts'

/** The controller's way into the laboratory. */
export const controllerPort = 'up0'
export { storagePort }

/** What is lost on its way from one port to another; `any`: all of them. */
export type Loss = { readonly from: string; readonly to: string; readonly percent: number }

export type BrokenTraffic = {
  /** From now on, beside what is lost already. Resolves with what ends it. */
  lose(losses: readonly Loss[]): Promise<() => Promise<void>>
  /** What is sent to this host comes late. Resolves with what ends it. */
  delay(host: string): Promise<() => Promise<void>>
}

const timeoutMs = 5_000
const table = 'bridge faults'

export function breakTraffic(laboratory: string): BrokenTraffic {
  const inFabric = (command: readonly string[], input = '') =>
    runCommand('nsenter', [`--net=${networkNamespacePath(fabricNamespaceOf(laboratory))}`, ...command], {
      timeoutMs,
      input,
    })
  const present = new Set<readonly Loss[]>()
  let lastTurn: Promise<unknown> = Promise.resolve()
  const apply = () => {
    const turn = lastTurn.then(() => inFabric(['nft', '-f', '-'], rulesOf([...present].flat())))
    lastTurn = turn.catch(() => undefined)
    return turn
  }
  return {
    async lose(losses) {
      present.add(losses)
      await apply()
      return async () => {
        present.delete(losses)
        await apply()
      }
    },
    async delay(host) {
      const queue = (kind: readonly string[]) => inFabric(['tc', 'qdisc', 'replace', 'dev', host, 'root', ...kind])
      // Where the kernel can't delay, a queue that is far too slow does.
      await queue(['netem', 'delay', '600ms', '300ms'])
        .catch(() => queue(['tbf', 'rate', '300kbit', 'burst', '3000', 'latency', '900ms']))
        // A host without power has no port, and one that has booted anew has a new one.
        .catch(() => undefined)
      return async () => void (await inFabric(['tc', 'qdisc', 'del', 'dev', host, 'root']).catch(() => ''))
    },
  }
}

function rulesOf(losses: readonly Loss[]): string {
  const lines = losses.map(({ from, to, percent }) => {
    const ports = [from === 'any' ? '' : `iifname "${from}" `, to === 'any' ? '' : `oifname "${to}" `].join('')
    return `${ports}${percent < 100 ? `numgen random mod 100 < ${percent} ` : ''}drop`
  })
  const chain = `chain between {\ntype filter hook forward priority 0; policy accept;\n${lines.join('\n')}\n}`
  return `table ${table}\ndelete table ${table}\ntable ${table} {\n${chain}\n}\n`
}
