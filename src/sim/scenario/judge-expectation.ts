/** Whether something that a scenario expects is so at this moment. */
import { restartsOf } from '../../control/services/restart-history.ts'
import { serviceStatus } from '../../control/services/service-status.ts'
import type { HostState } from '../../model/host.ts'
import type { World } from '../world/world.ts'
import type { Expectation } from './expectation.ts'
import type { Names } from './names.ts'
import type { Witness } from './witness.ts'

export type Surroundings = {
  readonly world: World
  readonly witness: Witness
  readonly names: Names
  readonly beganAtMs: number
  /** What was last refused, and not expected yet. */
  refusal(): string | undefined
}

export function isSo(expectation: Expectation, around: Surroundings): boolean {
  const { world, witness } = around
  switch (expectation.kind) {
    case 'vm-runs': {
      const hosts = runsOn(expectation.vm, around)
      return hosts.length === 1 && (expectation.host === undefined || hosts[0] === expectation.host)
    }
    case 'vm-runs-nowhere':
      return runsOn(expectation.vm, around).length === 0
    case 'vm-is':
      return isShown(expectation, world)
    case 'vm-is-gone':
      return isLed(world) && world.vm(expectation.vm) === undefined
    case 'host-is':
      return shownState(expectation.host, world) === expectation.state
    case 'host-is-empty':
      return (
        isLed(world) &&
        [...world.state().vms.values()].every(
          ({ placement }) => hostName(placement?.hostId, world) !== expectation.host,
        )
      )
    case 'all-run':
      return isLed(world) && [...world.state().vms.values()].every(({ spec }) => runsOn(spec.name, around).length === 1)
    case 'undisturbed': {
      const vmId = around.names.vmId(expectation.vm)
      return vmId !== undefined && !witness.wasDisturbed(vmId)
    }
    case 'all-undisturbed':
      return witness.disturbed().length === 0
    case 'starts':
      return startsOf(expectation.vm, around).length === expectation.number
    case 'most-starts-at-once':
      return mostWithinASecond(witness.starts().map(({ atMs }) => atMs)) <= expectation.number
    case 'ran-before': {
      const [first, second] = [startsOf(expectation.vm, around)[0], startsOf(expectation.otherVm, around)[0]]
      return first !== undefined && second !== undefined && first.atMs < second.atMs
    }
    case 'service-is': {
      const service = serviceNamed(expectation.service, world)
      return service !== undefined && serviceStatus(world.state(), service).health === expectation.health
    }
    case 'cells-restarted': {
      const service = serviceNamed(expectation.service, world)
      return service !== undefined && restartsOf(world.state(), service.spec.id).length === expectation.number
    }
    case 'nobody-fenced':
      return !world.log.some(({ atMs, event }) => event === 'host.fenced' && atMs >= around.beganAtMs)
    case 'refused':
      return around.refusal()?.includes(expectation.text) === true
  }
}

/** What there is instead, for somebody who expected something else. */
export function describeNow(expectation: Expectation, around: Surroundings): string {
  const { world } = around
  if ('vm' in expectation) {
    const status = isLed(world) ? world.vm(expectation.vm)?.status : undefined
    const where = runsOn(expectation.vm, around).join(' and ') || 'nowhere'
    const shown = status === undefined ? 'is shown nowhere' : `is shown as ${status.state} (${status.detail})`
    return `${expectation.vm} runs ${where}, ${shown}, and was started ${startsOf(expectation.vm, around).length} times`
  }
  if (expectation.kind === 'host-is') {
    const { detail = 'no controller leads' } = hostRecord(expectation.host, world)?.status ?? {}
    return `${expectation.host} is ${shownState(expectation.host, world) ?? 'not known'} (${detail})`
  }
  if ('service' in expectation) {
    const service = serviceNamed(expectation.service, world)
    if (service === undefined) return `there is no service ${expectation.service}`
    const cells = restartsOf(world.state(), service.spec.id).map(({ cell }) => cell)
    return `it is ${serviceStatus(world.state(), service).health}; restarted cells: ${cells.join(', ') || 'none'}`
  }
  if (expectation.kind === 'refused') return `refused: ${around.refusal() ?? 'nothing'}`
  if (expectation.kind === 'most-starts-at-once')
    return `${mostWithinASecond(around.witness.starts().map(({ atMs }) => atMs))} started within a second`
  const disturbed = around.witness.disturbed().map((vmId) => around.names.nameOf(vmId))
  return `disturbed so far: ${disturbed.join(', ') || 'none'}`
}

function serviceNamed(name: string, world: World) {
  return isLed(world) ? [...world.state().services.values()].find(({ spec }) => spec.name === name) : undefined
}

function isLed({ parts }: World): boolean {
  return parts.controller.engine() !== undefined
}

function hostRecord(name: string, world: World) {
  return isLed(world) ? [...world.state().hosts.values()].find(({ spec }) => spec.name === name) : undefined
}

/** As lists show it: one in maintenance is online. */
function shownState(name: string, world: World): HostState | undefined {
  const { spec, status } = hostRecord(name, world) ?? {}
  return status?.state === 'online' && spec?.maintenance !== null ? 'maintenance' : status?.state
}

function hostName(hostId: string | undefined, world: World): string | undefined {
  return [...world.state().hosts.values()].find(({ spec }) => spec.id === hostId)?.spec.name
}

function isShown({ vm, state, host }: Extract<Expectation, { kind: 'vm-is' }>, world: World): boolean {
  const record = isLed(world) ? world.vm(vm) : undefined
  if (record?.status?.state !== state) return false
  return host === undefined || hostName(record.placement?.hostId, world) === host
}

function runsOn(vm: string, { names, witness }: Surroundings): readonly string[] {
  const vmId = names.vmId(vm)
  return vmId === undefined ? [] : witness.runsOn(vmId)
}

function startsOf(vm: string, { names, witness }: Surroundings) {
  const vmId = names.vmId(vm)
  return witness.starts().filter((start) => start.vmId === vmId)
}

function mostWithinASecond(timesMs: readonly number[]): number {
  return Math.max(
    0,
    ...timesMs.map((fromMs) => timesMs.filter((atMs) => atMs >= fromMs && atMs < fromMs + 1_000).length),
  )
}
