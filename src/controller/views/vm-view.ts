import { pendingOfVm } from '../../control/growth/pending-of-vm.ts'
import { describeLoss } from '../../control/recovery/describe-loss.ts'
import type { StandbyReport } from '../../model/agent-protocol/heartbeat.ts'
import type { VmNicView, VmView } from '../../model/api/views.ts'
import { summarizeCloudInit } from '../../model/cloud-init.ts'
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import { networksOf, nicsOf } from '../../model/network.ts'
import { describeProof } from '../../model/proof.ts'
import type { VmSpec } from '../../model/vm.ts'

/** A VM as callers see it: stored nouns joined with the names that they point at. */
export function vmView(
  cluster: ClusterState,
  vm: VmRecord,
  {
    revision,
    standbyReport,
    nowMs,
  }: {
    readonly revision: number
    readonly standbyReport: StandbyReport | undefined
    readonly nowMs: number
  },
): VmView {
  const { spec, placement, status } = vm
  const recovery = placement?.lastRecovery ?? null
  return {
    ...spec,
    cloudInit: summarizeCloudInit(spec.cloudInit),
    discs: spec.cdroms.map((isoId) => (isoId === null ? null : (cluster.isos.get(isoId)?.name ?? isoId))),
    nics: nicViews(cluster, spec),
    templateName: cluster.templates.get(spec.templateId)?.name ?? spec.templateVersion,
    securityGroups: spec.securityGroupIds.map((id) => cluster.securityGroups.get(id)?.name ?? id),
    hostName: placement === undefined ? null : (cluster.hosts.get(placement.hostId)?.spec.name ?? placement.hostId),
    placement: placement ?? null,
    standby: vm.standby ?? null,
    migration: vm.migration ?? null,
    standbyReport: standbyReport ?? null,
    standbyHostName:
      vm.standby === undefined ? null : (cluster.hosts.get(vm.standby.hostId)?.spec.name ?? vm.standby.hostId),
    status: status ?? {
      state: spec.lifecycle === 'live' ? 'stopped' : spec.lifecycle,
      since: spec.createdAt,
      hostId: null,
      epoch: 0,
      incarnation: 0,
      pid: null,
      detail: '',
      crashes: 0,
      recovery: null,
    },
    pending: [...pendingOfVm(spec, status)],
    recoverySentence: describeLoss({ recovery: spec.recovery, ...imageOf(vm, nowMs) }),
    proofSentence: recovery === null ? null : describeProof(recovery.proof),
    revision,
  }
}

/** Its cards with the names of their networks. */
export function nicViews(cluster: ClusterState, spec: VmSpec): VmNicView[] {
  const names = new Map(networksOf(cluster).map(({ id, name }) => [id, name]))
  return nicsOf(spec).map((nic) => ({ ...nic, networkName: names.get(nic.networkId) ?? nic.networkId }))
}

function imageOf({ status }: VmRecord, nowMs: number) {
  const report = status?.recovery
  const image = report?.image ?? null
  if (image === null) return { image: null, note: report?.note ?? '' }
  return {
    image: { ageMs: nowMs - Date.parse(image.capturedAt), changedMiB: image.changedMiB },
    note: report?.note ?? '',
  }
}
