/** How the cloud is, in one sentence, and what needs a person. */
import type { HostView, VmView } from '../../model/api/views.ts'
import type { CloudState } from '../cloud/cloud-state.ts'

export type Health = {
  readonly level: 'good' | 'attention' | 'trouble'
  readonly sentence: string
  readonly needs: readonly Need[]
}

/** Something that does not mend itself, or that somebody should know about, and where to look. */
export type Need = {
  readonly level: 'attention' | 'trouble'
  readonly subject: string
  readonly text: string
  readonly target: { readonly kind: 'vm' | 'host' | 'tasks' | 'none'; readonly name: string }
}

const troubleStates: ReadonlySet<string> = new Set(['failed', 'unknown', 'lost'])
const passingStates: ReadonlySet<string> = new Set(['waiting', 'frozen', 'restarting'])

export function describeHealth({ cluster, hosts, vms }: CloudState): Health {
  const needs = [
    ...cluster.holds.map(
      (text): Need => need('trouble', { subject: cluster.name, text, target: { kind: 'none', name: '' } }),
    ),
    ...[...hosts.values()].flatMap(needOfHost),
    ...[...vms.values()].flatMap(needOfVm),
  ].sort((left, right) => Number(right.level === 'trouble') - Number(left.level === 'trouble'))
  const serving = [...vms.values()].filter(({ status }) => status.state === 'running').length
  const wanted = [...vms.values()].filter(({ desired }) => desired === 'running').length
  const online = [...hosts.values()].filter(({ status }) => status.state === 'online').length
  const troubles = needs.filter(({ level }) => level === 'trouble').length
  const machines =
    serving >= wanted
      ? `All ${wanted} machines that should run do`
      : `${serving} of ${wanted} machines that should run do`
  const servers =
    online === hosts.size ? `all ${hosts.size} hosts are online` : `${online} of ${hosts.size} hosts are online`
  const level = troubles > 0 ? 'trouble' : needs.length > 0 ? 'attention' : 'good'
  return { level, sentence: `${machines}, ${servers}.`, needs }
}

function needOfHost({ name, status }: HostView): readonly Need[] {
  const target = { kind: 'host', name } as const
  switch (status.state) {
    case 'online':
      return status.armed === 'none'
        ? [
            need('attention', {
              subject: name,
              text: 'has no watchdog: its machines cannot start elsewhere by a lease',
              target,
            }),
          ]
        : []
    case 'maintenance':
      return [need('attention', { subject: name, text: 'is in maintenance', target })]
    case 'deaf':
      return [need('attention', { subject: name, text: 'is heard, but no order reaches it', target })]
    case 'suspect':
      return [need('attention', { subject: name, text: `is silent: ${status.detail || 'it is being judged'}`, target })]
    case 'fenced':
    case 'offline':
      return [need('trouble', { subject: name, text: `is ${status.state}: ${status.detail}`, target })]
  }
}

function needOfVm({ name, status }: VmView): readonly Need[] {
  const target = { kind: 'vm', name } as const
  const text = `is ${status.state}${status.detail === '' ? '' : `: ${status.detail}`}`
  if (troubleStates.has(status.state)) return [need('trouble', { subject: name, text, target })]
  if (passingStates.has(status.state)) return [need('attention', { subject: name, text, target })]
  return []
}

function need(level: Need['level'], rest: Omit<Need, 'level'>): Need {
  return { level, ...rest }
}
