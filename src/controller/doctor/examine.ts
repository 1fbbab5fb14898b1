/** Asks every host what it really has, and holds that against what is stored. Only what is still wrong a moment later is told. */

import type { Inventory } from '../../model/agent-protocol/agent-contract.ts'
import type { Finding } from '../../model/api/views.ts'
import type { HostId } from '../../model/ids.ts'
import { type CloudFacts, examineCloud, invariants } from '../../model/invariants/examine-cloud.ts'
import type { ApiContext } from '../handlers/api-context.ts'

/** Machines start and stop while the doctor looks: what it sees once may only be on its way. */
const secondLookAfterMs = 700

export async function examine(
  context: ApiContext,
): Promise<{ readonly findings: Finding[]; readonly checked: string[] }> {
  const checked = [...Object.keys(invariants), 'hosts-answer']
  const first = await look(context)
  if (first.length === 0) return { findings: [], checked }
  await context.engine.leader.clock.sleep(secondLookAfterMs)
  const second = await look(context)
  const lasting = second.filter((finding) => first.some((earlier) => isSame(earlier, finding)))
  return { findings: lasting, checked }
}

async function look({ engine, agents }: ApiContext): Promise<readonly Finding[]> {
  const cluster = engine.leader.index.state()
  const inventories = new Map<HostId, Inventory>()
  const silent: Finding[] = []
  await Promise.all(
    [...cluster.hosts.values()].map(async ({ spec, status }) => {
      try {
        inventories.set(spec.id, await agents.inventory(spec))
      } catch (error) {
        const message = `${spec.name} is ${status.state} and could not be looked at: ${error instanceof Error ? error.message : String(error)}`
        silent.push({
          invariant: 'hosts-answer',
          severity: 'defect',
          subject: spec.name,
          message,
          next: `Bring it back, or look at it: dialtone host show ${spec.name}`,
        })
      }
    }),
  )
  // The state is read again: it may have changed while the hosts were asked.
  const facts: CloudFacts = { cluster: engine.leader.index.state(), inventories }
  return [...examineCloud(facts), ...silent]
}

function isSame(left: Finding, right: Finding): boolean {
  return left.invariant === right.invariant && left.subject === right.subject
}
