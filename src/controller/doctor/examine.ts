/** Asks every host what it really has, and holds that against what is stored. Only what is still wrong a moment later is told. */

import { assembleOutages } from '../../control/ledger/assemble-outages.ts'
import type { Engine } from '../../engine/engine.ts'
import type { Inventory } from '../../model/agent-protocol/agent-contract.ts'
import type { Finding } from '../../model/api/views.ts'
import type { ClusterState } from '../../model/cluster-state.ts'
import type { HostId } from '../../model/ids.ts'
import { type CloudFacts, examineCloud, invariants, type ServiceCourse } from '../../model/invariants/examine-cloud.ts'
import type { ApiContext } from '../handlers/api-context.ts'

/** Machines start, stop and move while the doctor looks: what it doesn't see again and again may only be on its way. */
const nextLookAfterMs = 700
const furtherLooks = 4

export async function examine(
  context: ApiContext,
): Promise<{ readonly findings: Finding[]; readonly checked: string[] }> {
  const checked = [...Object.keys(invariants), 'hosts-answer', 'manifests-are-current']
  let lasting = await look(context)
  for (let count = 0; count < furtherLooks && lasting.length > 0; count += 1) {
    await context.engine.leader.clock.sleep(nextLookAfterMs)
    const before = lasting
    lasting = (await look(context)).filter((finding) => before.some((earlier) => isSame(earlier, finding)))
  }
  return { findings: [...lasting], checked }
}

async function look({ engine, agents }: ApiContext): Promise<readonly Finding[]> {
  const { hosts } = engine.leader.index.state()
  const inventories = new Map<HostId, Inventory>()
  const silent: Finding[] = []
  await Promise.all(
    [...hosts.values()].map(async ({ spec, status }) => {
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
  const cluster = engine.leader.index.state()
  const facts: CloudFacts = { cluster, inventories, courses: await coursesOf(engine, cluster) }
  return [...examineCloud(facts), ...silent, ...manifestsBehind(engine, cluster)]
}

/** What can't be rebuilt from its disks as it is now. */
function manifestsBehind(engine: Engine, { vms }: ClusterState): readonly Finding[] {
  return [...engine.manifestsBehind()].flatMap(([vmId, why]) => {
    const name = vms.get(vmId)?.spec.name
    if (name === undefined) return []
    const message = `the manifest beside the disks of ${name} is behind: ${why}`
    const next = 'It is tried again and again: see to it that a host that has its storage answers.'
    return [{ invariant: 'manifests-are-current', severity: 'untidy' as const, subject: name, message, next }]
  })
}

async function coursesOf(engine: Engine, { vms }: ClusterState): Promise<readonly ServiceCourse[]> {
  const untilMs = engine.leader.clock.wallTime().getTime()
  return Promise.all(
    [...vms.values()].map(async ({ spec: { id, name } }) => {
      const entries = await engine.ledger.entries(id)
      const { intervals } = assembleOutages(entries, { service: id, serviceName: name, untilMs })
      return { name, fromMs: intervals[0]?.fromMs ?? untilMs, untilMs, intervals }
    }),
  )
}

function isSame(left: Finding, right: Finding): boolean {
  return left.invariant === right.invariant && left.subject === right.subject
}
