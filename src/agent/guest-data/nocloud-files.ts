/** The files of a NoCloud seed. Pure. */
import type { MachineNic, MachineOrder } from '../../model/machine-order.ts'

export type NoCloudFiles = Readonly<Record<'meta-data' | 'user-data' | 'network-config', string>> & {
  readonly 'vendor-data'?: string
}

/** The rest of what makes it another machine cloud-init does itself, by the instance id: host name, SSH host keys, network. */
const newMachineId =
  'rm -f /etc/machine-id /var/lib/dbus/machine-id && { systemd-machine-id-setup || dbus-uuidgen --ensure=/etc/machine-id; }'

/** Without user-data cloud-init still takes the keys and the name. */
export const emptyUserData = '#cloud-config\n{}\n'

const vendorDataOfClone = `#cloud-config
${JSON.stringify({ bootcmd: [['cloud-init-per', 'instance', 'machine-id', 'sh', '-c', newMachineId]] })}
`

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
    ...(machine.isUntoldClone ? { 'vendor-data': vendorDataOfClone } : {}),
  }
}

/** Each card by its address, whatever the guest calls it. */
function networkConfigOf({ nic, moreNics }: MachineOrder): string {
  const dhcp = ({ macAddress }: Pick<MachineNic, 'macAddress'>) => ({ match: { macaddress: macAddress }, dhcp4: true })
  const more = moreNics.map((card): [string, ReturnType<typeof dhcp>] => [`nic${card.number}`, dhcp(card)])
  const ethernets = { nic0: dhcp(nic), ...Object.fromEntries(more) }
  return `${JSON.stringify({ version: 2, ethernets }, null, 2)}\n`
}
