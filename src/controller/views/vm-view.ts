import type { VmView } from '../../model/api/views.ts'
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import { describeProof } from '../../model/proof.ts'

/** A VM as callers see it: stored nouns joined with the names that they point at. */
export function vmView(cluster: ClusterState, vm: VmRecord, revision: number): VmView {
  const { spec, placement, status } = vm
  const recovery = placement?.lastRecovery ?? null
  return {
    ...spec,
    templateName: cluster.templates.get(spec.templateId)?.name ?? spec.templateVersion,
    hostName: placement === undefined ? null : (cluster.hosts.get(placement.hostId)?.spec.name ?? placement.hostId),
    placement: placement ?? null,
    status: status ?? {
      state: spec.lifecycle === 'live' ? 'stopped' : spec.lifecycle,
      since: spec.createdAt,
      hostId: null,
      epoch: 0,
      incarnation: 0,
      pid: null,
      detail: '',
      crashes: 0,
    },
    proofSentence: recovery === null ? null : describeProof(recovery.proof),
    revision,
  }
}
