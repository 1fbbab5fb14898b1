/** A simulated host's ways to the controller and to its neighbours, and theirs to it. */
import type { HostSpec } from '../../model/host.ts'
import { joinStreams } from '../../transport/join-streams.ts'
import type { ControllerService } from '../controller/controller-machine.ts'
import type { AgentService } from '../host/agent-process.ts'
import type { HostOptions } from '../host/host-options.ts'
import type { SimulatedHost } from '../host/simulated-host.ts'
import { type Callee, callOverNetwork, copyOf } from '../net/call.ts'
import type { SimulatedNetwork } from '../net/simulated-network.ts'
import { createStreamPair } from '../net/stream-pair.ts'
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
): Pick<HostOptions, 'post' | 'openStreamTo'> {
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
    openStreamTo(target, what, life) {
      return callOverNetwork({ place: spec.name, life, network }, agentOn(hosts.get(target.hostName)), {
        what: 'machineStream',
        timeoutMs: streamTimeoutMs,
        connectTimeoutMs: streamConnectTimeoutMs,
        carry: (stream) => stream,
        async ask({ neighbours }) {
          const scope = { signal: new AbortController().signal, after: undefined }
          const caller = { name: `host/${spec.id}`, role: 'host', hostId: spec.id } as const
          const { vmId, volumeId } = what
          const input = { query: undefined, body: undefined }
          const inner =
            volumeId === undefined
              ? await neighbours.machineStream({ ...input, params: { vmId } }, caller, scope)
              : await neighbours.diskStream({ ...input, params: { vmId, volumeId } }, caller, scope)
          const [here, there] = createStreamPair({ network, time }, { from: spec.name, to: target.hostName })
          joinStreams(there, inner)
          const forget = life.onEnd(() => here.destroy())
          here.once('close', forget)
          return here
        },
      })
    },
  }
}
