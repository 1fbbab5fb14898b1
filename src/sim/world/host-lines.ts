/** A simulated host's ways to the controller and to its neighbours, and theirs to it. */
import type { Duplex } from 'node:stream'
import type { DepartureTarget, NeighbourContract } from '../../model/agent-protocol/migration-orders.ts'
import type { HostSpec } from '../../model/host.ts'
import type { Caller } from '../../transport/caller.ts'
import { joinStreams } from '../../transport/join-streams.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import type { ControllerService } from '../controller/controller-machine.ts'
import type { AgentService } from '../host/agent-process.ts'
import type { HostOptions } from '../host/host-options.ts'
import type { SimulatedHost } from '../host/simulated-host.ts'
import { type Callee, callOverNetwork, copyOf } from '../net/call.ts'
import type { SimulatedNetwork } from '../net/simulated-network.ts'
import { createStreamPair } from '../net/stream-pair.ts'
import type { ProcessLife } from '../time/process-life.ts'
import type { WorldTime } from '../time/world-time.ts'

/** As `src/agent/main.ts` and `src/agent/migration/open-stream-to.ts` have it. */
const postConnectTimeoutMs = 500
const streamTimeoutMs = 10_000
const streamConnectTimeoutMs = 2_000

/** Its agent, wherever it is in its life. */
export function agentOn(host: SimulatedHost | undefined): Callee<AgentService> {
  return {
    place: host?.spec.name ?? 'nowhere',
    isOn: () => host?.boot() !== undefined,
    isStanding: () => host?.boot()?.isStanding() === true,
    boot: () => host?.boot()?.number ?? 0,
    listening() {
      const agent = host?.boot()?.agent()
      const service = agent?.served()
      return agent === undefined || service === undefined ? undefined : { life: agent.life, service }
    },
  }
}

export type Surroundings = {
  readonly time: WorldTime
  readonly network: SimulatedNetwork
  readonly controller: Callee<ControllerService>
  readonly hosts: ReadonlyMap<string, SimulatedHost>
}

export function hostLines(
  spec: HostSpec,
  { time, network, controller, hosts }: Surroundings,
): Pick<HostOptions, 'post' | 'openStreamTo' | 'openDiskStreamTo'> {
  const scopeOf = () => ({ signal: new AbortController().signal, after: undefined })
  const openStream = (
    { target, life, what }: { readonly target: DepartureTarget; readonly life: ProcessLife; readonly what: string },
    ask: (neighbours: Handlers<NeighbourContract>, caller: Caller) => Promise<Duplex> | Duplex,
  ): Promise<Duplex> =>
    callOverNetwork({ place: spec.name, life, network }, agentOn(hosts.get(target.hostName)), {
      what,
      timeoutMs: streamTimeoutMs,
      connectTimeoutMs: streamConnectTimeoutMs,
      carry: (stream) => stream,
      async ask({ neighbours }) {
        const inner = await ask(neighbours, { name: `host/${spec.id}`, role: 'host', hostId: spec.id })
        const [here, there] = createStreamPair({ network, time }, { from: spec.name, to: target.hostName })
        joinStreams(there, inner)
        const forget = life.onEnd(() => here.destroy())
        here.once('close', forget)
        return here
      },
    })
  return {
    post(heartbeat, timeoutMs, life) {
      const sent = copyOf(heartbeat)
      return callOverNetwork({ place: spec.name, life, network }, controller, {
        what: 'heartbeat',
        timeoutMs,
        connectTimeoutMs: postConnectTimeoutMs,
        ask: (service) => service.receiveHeartbeat(spec.id, sent),
      })
    },
    openStreamTo: (target, vmId, life) =>
      openStream({ target, life, what: 'machineStream' }, (neighbours, caller) =>
        neighbours.machineStream({ params: { vmId }, query: undefined, body: undefined }, caller, scopeOf()),
      ),
    openDiskStreamTo: (target, disk, life) =>
      openStream({ target, life, what: 'diskStream' }, (neighbours, caller) =>
        neighbours.diskStream({ params: disk, query: undefined, body: undefined }, caller, scopeOf()),
      ),
  }
}
