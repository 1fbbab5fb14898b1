/** The three files of a NoCloud seed. Pure. */
import type { MachineNic, MachineOrder } from '../../model/machine-order.ts'

export type NoCloudFiles = Readonly<Record<'meta-data' | 'user-data' | 'network-config', string>>

/** Without user-data cloud-init still takes the keys and the name. */
export const emptyUserData = '#cloud-config\n{}\n'

export function noCloudFiles(machine: MachineOrder): NoCloudFiles {
  const { vmId, name, cloudInit } = machine
  const metaData = {
    'instance-id': vmId,
    'local-hostname': name,
    ...(cloudInit === null || cloudInit.sshKeys.length === 0 ? {} : { 'public-keys': cloudInit.sshKeys }),
  }
  return {
    'meta-data': `${JSON.stringify(metaData, null, 2)}\n`,
    'user-data': cloudInit?.userData ?? emptyUserData,
    'network-config': cloudInit?.networkConfig ?? networkConfigOf(machine),
  }
}

/** Each card by its address, whatever the guest calls it. */
function networkConfigOf({ nic, moreNics }: MachineOrder): string {
  const dhcp = ({ macAddress }: Pick<MachineNic, 'macAddress'>) => ({ match: { macaddress: macAddress }, dhcp4: true })
  const more = moreNics.map((card): [string, ReturnType<typeof dhcp>] => [`nic${card.number}`, dhcp(card)])
  const ethernets = { nic0: dhcp(nic), ...Object.fromEntries(more) }
  return `${JSON.stringify({ version: 2, ethernets }, null, 2)}\n`
}
