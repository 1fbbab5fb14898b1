/** The engine's orders as calls of the agents' contract: which route, and how long each may take. */
import type { AgentPort } from '../engine/agent-port.ts'
import type { AgentContract } from '../model/agent-protocol/agent-contract.ts'
import type { cloneOrders } from '../model/agent-protocol/clone-orders.ts'
import type { migrationOrders } from '../model/agent-protocol/migration-orders.ts'
import type { snapshotOrders } from '../model/agent-protocol/snapshot-orders.ts'
import type { volumeOrders } from '../model/agent-protocol/volume-orders.ts'
import type { HostSpec } from '../model/host.ts'
import type { ContractClient } from '../transport/contract-client.ts'

/** Orders are answered at once; what takes long is reported by heartbeats. */
const orderTimeoutMs = 5_000
/** These wait for a machine to be reaped, or for a disk to be made. */
const slowOrderTimeoutMs = 30_000
const diskTimeoutMs = 600_000
/** Of a stopped machine's disk, by a program. */
const copyTimeoutMs = 4 * 3_600_000
const pillTimeoutMs = 2_000

/** The line to one host's agent. */
export type AgentLine = (host: HostSpec) => Pick<ContractClient<AgentContract>, 'call'>

/** All but `knock`, which asks the host's kernel and not its agent. */
export function callAgents(client: AgentLine): Omit<AgentPort, 'knock'> {
  return {
    async startMachine(host, { machine, ...order }) {
      await client(host).call(
        'startMachine',
        { params: { vmId: machine.vmId }, body: { ...order, machine } },
        { timeoutMs: orderTimeoutMs },
      )
    },
    async stopMachine(host, { vmId, ...order }) {
      await client(host).call('stopMachine', { params: { vmId }, body: order }, { timeoutMs: slowOrderTimeoutMs })
    },
    async changeMachine(host, { vmId, ...order }) {
      await client(host).call('changeMachine', { params: { vmId }, body: order }, { timeoutMs: slowOrderTimeoutMs })
    },
    releaseMachine: (host, { vmId, ...order }) =>
      client(host).call('releaseMachine', { params: { vmId }, body: order }, { timeoutMs: slowOrderTimeoutMs }),
    async createVolume(host, { volumeId, ...order }) {
      await client(host).call('createVolume', { params: { volumeId }, body: order }, { timeoutMs: diskTimeoutMs })
    },
    async deleteVolume(host, { volumeId, ...order }) {
      await client(host).call('deleteVolume', { params: { volumeId }, body: order }, { timeoutMs: diskTimeoutMs })
    },
    async writeManifest(host, { volumeId, ...order }) {
      const asked = { params: { volumeId }, body: order }
      return (await client(host).call('writeManifest', asked, { timeoutMs: orderTimeoutMs })).newest
    },
    async writePill(host, { storageId, slot, ...order }) {
      await client(host).call('writePill', { params: { storageId, slot }, body: order }, { timeoutMs: pillTimeoutMs })
    },
    async configureMachine(host, { vmId, ...order }) {
      await client(host).call('configureMachine', { params: { vmId }, body: order }, { timeoutMs: orderTimeoutMs })
    },
    ...standbyOrders(client),
    async captureMachine(host, { vmId, ...order }) {
      const answer = await client(host).call(
        'captureMachine',
        { params: { vmId }, body: order },
        { timeoutMs: diskTimeoutMs },
      )
      return answer.imageId
    },
    async recoverMachine(host, { vmId, ...order }) {
      await client(host).call('recoverMachine', { params: { vmId }, body: order }, { timeoutMs: slowOrderTimeoutMs })
    },
    async injectFailure(host, { vmId, ...order }) {
      await client(host).call('injectFailure', { params: { vmId }, body: order }, { timeoutMs: slowOrderTimeoutMs })
    },
    ...moveOrders(client),
    ...snapshotCalls(client),
    ...volumeMoveOrders(client),
    ...cloneCalls(client),
    ...hostCalls(client),
  }
}

function standbyOrders(client: AgentLine): Pick<AgentPort, 'keepStandby' | 'dropStandby'> {
  return {
    async keepStandby(host, { vmId, ...order }) {
      await client(host).call('keepStandby', { params: { vmId }, body: order }, { timeoutMs: orderTimeoutMs })
    },
    async dropStandby(host, { vmId, ...order }) {
      await client(host).call('dropStandby', { params: { vmId }, body: order }, { timeoutMs: slowOrderTimeoutMs })
    },
  }
}

type MoveOrders = Pick<AgentPort, keyof typeof migrationOrders>

function moveOrders(client: AgentLine): MoveOrders {
  return {
    prepareDeparture: (host, { vmId, ...order }) =>
      client(host).call('prepareDeparture', { params: { vmId }, body: order }, { timeoutMs: slowOrderTimeoutMs }),
    depart: (host, { vmId, ...order }) =>
      client(host).call('depart', { params: { vmId }, body: order }, { timeoutMs: orderTimeoutMs }),
    followDeparture: (host, { vmId, ...order }) =>
      client(host).call('followDeparture', { params: { vmId }, body: order }, { timeoutMs: orderTimeoutMs }),
    async abandonDeparture(host, { vmId, ...order }) {
      await client(host).call('abandonDeparture', { params: { vmId }, body: order }, { timeoutMs: slowOrderTimeoutMs })
    },
    expectArrival: (host, { vmId, ...order }) =>
      client(host).call('expectArrival', { params: { vmId }, body: order }, { timeoutMs: slowOrderTimeoutMs }),
    completeArrival: (host, { vmId, ...order }) =>
      client(host).call('completeArrival', { params: { vmId }, body: order }, { timeoutMs: slowOrderTimeoutMs }),
    async abandonArrival(host, { vmId, ...order }) {
      await client(host).call('abandonArrival', { params: { vmId }, body: order }, { timeoutMs: slowOrderTimeoutMs })
    },
  }
}

type SnapshotCalls = Pick<AgentPort, keyof typeof snapshotOrders>

function snapshotCalls(client: AgentLine): SnapshotCalls {
  const slow = { timeoutMs: slowOrderTimeoutMs }
  const disks = { timeoutMs: diskTimeoutMs }
  return {
    snapshotMachine: (host, { vmId, ...order }) =>
      client(host).call('snapshotMachine', { params: { vmId, snapshotId: order.wish.id }, body: order }, slow),
    holdMachine: (host, { vmId, ...body }) => client(host).call('holdMachine', { params: { vmId }, body }, slow),
    async snapshotDisks(host, { overlays, ...order }) {
      const body = { ...order, overlays: [...overlays] }
      const params = { snapshotId: order.wish.id }
      return (await client(host).call('snapshotDisks', { params, body }, disks)).snapshot
    },
    async removeSnapshot(host, body) {
      await client(host).call('removeSnapshot', { params: { snapshotId: body.snapshot.id }, body }, disks)
    },
    tidyMachine: (host, { vmId, ...body }) => client(host).call('tidyMachine', { params: { vmId }, body }, slow),
    async tidyDisks(host, body) {
      await client(host).call('tidyDisks', { params: { vmId: body.machine.vmId }, body }, disks)
    },
    revertMachine: (host, { vmId, taskId, ...body }) =>
      client(host).call('revertMachine', { params: { vmId, taskId }, body }, disks),
    async revertDisks(host, { overlays, ...order }) {
      const body = { ...order, overlays: [...overlays] }
      await client(host).call('revertDisks', { params: { vmId: order.machine.vmId }, body }, disks)
    },
    runInGuest: (host, { vmId, command, ...order }) =>
      client(host).call(
        'runInGuest',
        { params: { vmId }, body: { ...order, command: [...command] } },
        { timeoutMs: order.timeoutMs + orderTimeoutMs },
      ),
    measureMachine: (host, { vmId, ...body }) => client(host).call('measureMachine', { params: { vmId }, body }, slow),
  }
}

type VolumeMoveOrders = Pick<AgentPort, keyof typeof volumeOrders>

function volumeMoveOrders(client: AgentLine): VolumeMoveOrders {
  return {
    mirrorVolume: (host, { vmId, volumeId, ...order }) =>
      client(host).call('mirrorVolume', { params: { vmId, volumeId }, body: order }, { timeoutMs: slowOrderTimeoutMs }),
    async holdVolume(host, { vmId, volumeId, ...order }) {
      const asked = { params: { vmId, volumeId }, body: order }
      await client(host).call('holdVolume', asked, { timeoutMs: slowOrderTimeoutMs })
    },
    async switchVolume(host, { vmId, volumeId, ...order }) {
      const asked = { params: { vmId, volumeId }, body: order }
      await client(host).call('switchVolume', asked, { timeoutMs: slowOrderTimeoutMs })
    },
    async keepVolume(host, { vmId, volumeId, ...order }) {
      const asked = { params: { vmId, volumeId }, body: order }
      await client(host).call('keepVolume', asked, { timeoutMs: slowOrderTimeoutMs })
    },
    async copyVolume(host, { volumeId, ...order }) {
      await client(host).call('copyVolume', { params: { volumeId }, body: order }, { timeoutMs: copyTimeoutMs })
    },
  }
}

/** Without what streams: see `AgentConnections`. */
function cloneCalls(client: AgentLine): Pick<AgentPort, Exclude<keyof typeof cloneOrders, 'readVolume'>> {
  return {
    async linkMachineDisks(host, { vmId, ...body }) {
      await client(host).call('linkMachineDisks', { params: { vmId }, body }, { timeoutMs: slowOrderTimeoutMs })
    },
    async linkDisks(host, { vmId, ...body }) {
      await client(host).call('linkDisks', { params: { vmId }, body }, { timeoutMs: slowOrderTimeoutMs })
    },
    flattenVolume: (host, { volumeId, ...body }) =>
      client(host).call('flattenVolume', { params: { volumeId }, body }, { timeoutMs: slowOrderTimeoutMs }),
  }
}

/** What is asked of a host as a whole. */
function hostCalls(client: AgentLine): Pick<AgentPort, 'inventory' | 'localClaims' | 'runHostCommand'> {
  return {
    inventory: (host) => client(host).call('inventory', {}, { timeoutMs: orderTimeoutMs }),
    localClaims: (host) => client(host).call('localClaims', {}, { timeoutMs: orderTimeoutMs }),
    runHostCommand: (host, { runId, ...order }) =>
      client(host).call('runHostCommand', { params: { runId }, body: order }, { timeoutMs: orderTimeoutMs }),
  }
}
