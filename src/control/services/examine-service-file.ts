/** What is wrong with a service file that its schema can't see: each problem with the way to where it stands. Pure; needs no cluster. */

import { memberName } from '../../model/service/service.ts'
import {
  type FileProblem,
  millisecondsOf,
  type RestartGroup,
  type ServiceFile,
} from '../../model/service/service-file.ts'
import { judgeObjective } from './judge-objective.ts'
import { findCycle } from './start-waves.ts'

const longestName = 40

/** Nothing when it may be applied to some cluster. */
export function examineServiceFile(file: ServiceFile): readonly FileProblem[] {
  const inComponents = Object.keys(file.components).flatMap((name) => examineComponent(file, name))
  const cycle = inComponents.length > 0 ? undefined : findCycle(file.components)
  const circle =
    cycle === undefined
      ? []
      : [{ path: ['components', cycle[0] ?? ''], message: `each waits for the next one: ${cycle.join(' → ')}` }]
  const promises = millisecondsOf(file.assumedMttf) === 0 ? [] : judgeObjective(file)
  return [...inComponents, ...circle, ...examineGroups(file), ...promises]
}

function examineComponent({ service, components }: ServiceFile, name: string): readonly FileProblem[] {
  const component = components[name]
  if (component === undefined) return []
  const path = ['components', name]
  const problems: FileProblem[] = []
  for (const word of ['needs', 'startsAfter'] as const) {
    for (const [place, other] of component[word].entries()) {
      if (other === name) problems.push({ path: [...path, word, place], message: `${name} can't wait for itself` })
      else if (components[other] === undefined)
        problems.push({ path: [...path, word, place], message: `there is no component ${other}` })
    }
  }
  const longest = memberName(service, name, component.replicas)
  if (longest.length > longestName)
    problems.push({
      path,
      message: `its machine would be named ${longest}, which has ${longest.length} characters; ${longestName} are the most`,
    })
  if (component.address !== undefined && component.replicas > 1)
    problems.push({ path: [...path, 'address'], message: `its ${component.replicas} replicas can't have one address` })
  return problems
}

type Found = { readonly components: Map<string, string>; readonly names: Set<string> }

function examineGroups(file: ServiceFile): readonly FileProblem[] {
  const found: Found = { components: new Map(), names: new Set([file.service, ...Object.keys(file.components)]) }
  return (file.groups ?? []).flatMap((group, place) => examineGroup(file, { group, path: ['groups', place], found }))
}

function examineGroup(
  file: ServiceFile,
  at: { readonly group: RestartGroup; readonly path: FileProblem['path']; readonly found: Found },
): readonly FileProblem[] {
  const { group, path, found } = at
  const problems: FileProblem[] = []
  if (found.names.has(group.name))
    problems.push({ path: [...path, 'name'], message: `${group.name} is the name of something else in this service` })
  found.names.add(group.name)
  if (group.components.length + group.groups.length === 0)
    problems.push({ path, message: `the group ${group.name} is empty` })
  for (const [place, name] of group.components.entries()) {
    const other = found.components.get(name)
    const here = [...path, 'components', place]
    if (file.components[name] === undefined) problems.push({ path: here, message: `there is no component ${name}` })
    else if (other !== undefined)
      problems.push({ path: here, message: `${name} is in two groups, ${other} and ${group.name}` })
    found.components.set(name, group.name)
  }
  const inner = group.groups.flatMap((one, place) =>
    examineGroup(file, { group: one, path: [...path, 'groups', place], found }),
  )
  return [...problems, ...inner]
}
