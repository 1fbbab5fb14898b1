/** What corosync and Pacemaker are told: three nodes, one machine that may run on the first two, and a fence agent. Pure. */

export type ClusterNode = { readonly name: string; readonly address: string }

/**
 * `tokenMs` is how long corosync waits for a silent node, without what it would add for each node above two; undefined leaves its own
 * defaults (3650 ms for three nodes).
 */
export function corosyncConf(nodes: readonly ClusterNode[], tokenMs: number | undefined): string {
  const token = tokenMs === undefined ? '' : `\n  token: ${tokenMs}\n  token_coefficient: 0`
  const list = nodes.map(
    ({ name, address }, index) => `  node {
    ring0_addr: ${address}
    name: ${name}
    nodeid: ${index + 1}
  }`,
  )
  return `totem {
  version: 2
  cluster_name: peer
  transport: knet
  crypto_cipher: none
  crypto_hash: none${token}
}
system {
  allow_knet_handle_fallback: yes
}
nodelist {
${list.join('\n')}
}
quorum {
  provider: corosync_votequorum
}
logging {
  to_logfile: yes
  logfile: /var/log/corosync/corosync.log
  to_syslog: no
  timestamp: hires
}
`
}

export type ClusterResources = {
  readonly nodes: readonly ClusterNode[]
  /** The node that only votes. */
  readonly voter: string
  /** A libvirt domain's description. */
  readonly domainFile: string
}

/** What is added to Pacemaker's configuration. */
export function clusterResources({ nodes, voter, domainFile }: ClusterResources): string {
  const options = { 'stonith-enabled': 'true', 'stonith-action': 'off', 'no-quorum-policy': 'stop' }
  const fence = { pcmk_host_list: nodes.map(({ name }) => name).join(' '), pcmk_host_check: 'static-list' }
  const machine = { config: domainFile, hypervisor: 'qemu:///system' }
  return `<configuration>
<crm_config><cluster_property_set id="options">${pairs('options', options)}</cluster_property_set></crm_config>
<resources>
<primitive id="fence" class="stonith" type="fence_legacy">
<instance_attributes id="fence-is">${pairs('fence-is', fence)}</instance_attributes>
</primitive>
<primitive id="machine" class="ocf" provider="heartbeat" type="VirtualDomain">
<instance_attributes id="machine-is">${pairs('machine-is', machine)}</instance_attributes>
<operations>
<op id="machine-monitor" name="monitor" interval="10s" timeout="30s"/>
<op id="machine-start" name="start" interval="0" timeout="90s"/>
<op id="machine-stop" name="stop" interval="0" timeout="90s"/>
</operations>
</primitive>
</resources>
<constraints><rsc_location id="voter" rsc="machine" node="${voter}" score="-INFINITY"/></constraints>
<rsc_defaults>
<meta_attributes id="defaults">${pairs('defaults', { 'resource-stickiness': '1000' })}</meta_attributes>
</rsc_defaults>
</configuration>`
}

function pairs(prefix: string, values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `<nvpair id="${prefix}-${name}" name="${name}" value="${value}"/>`)
    .join('')
}
