/** What goes over the wire between an agent and its leader, whole; a test names only what it is about. */

import type { Acknowledgement, Heartbeat } from '../../model/agent-protocol/heartbeat.ts'
import { hostIdOf, sessionIdOf } from '../../model/cluster-state.fixture.ts'

export function makeHeartbeat(changes: Partial<Heartbeat> = {}): Heartbeat {
  return {
    session: sessionIdOf('first'),
    agentLife: 1,
    bootId: 'boot-1',
    sequence: 0,
    unanswered: 0,
    armed: 'hard',
    facts: {
      cpus: 4,
      memoryMiB: 4096,
      accelerator: 'tcg',
      qemuVersion: '7.2.22',
      machineType: 'pc-q35-7.2',
      cpuModel: 'max',
      firewall: 'bridge-conntrack',
      firewallDetail: 'nftables on the bridge, which follows connections itself',
      guestSupport: [],
      networkFaults: {},
    },
    machines: [],
    pendingStarts: [],
    storages: [],
    standbys: [],
    records: [],
    configurationRevision: 1,
    highestKnownRevision: 1,
    highestKnownEpoch: 0,
    highestKnownTerm: 0,
    storeIncarnation: 'first',
    ...changes,
  }
}

export function makeAcknowledgement(changes: Partial<Acknowledgement> = {}): Acknowledgement {
  return {
    hostId: hostIdOf('ada'),
    term: 1,
    sequence: 0,
    storeIncarnation: 'first',
    storeRevision: 1,
    verdict: 'admitted',
    reason: '',
    confirmedStarts: [],
    recordsStoredUpTo: 0,
    configuration: null,
    ...changes,
  }
}
