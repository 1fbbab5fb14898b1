/** The guest as a libvirt domain: the devices of Dialtone's machines that serve it, and none that would make it slower. */
import type { PeerGuestCard } from '../peer-network.ts'
import type { TinyGuest } from '../tiny-guest.ts'

export type Domain = {
  readonly guest: TinyGuest
  readonly card: PeerGuestCard
  readonly memoryMiB: number
  /** A qcow2 file. */
  readonly disk: string
  /** A raw file, as a second disk. */
  readonly dataDisk?: string
  /** Memory, processors and disks may come while it runs, and its guest agent is heard. */
  readonly canGrow?: boolean
}

/** Pacemaker's VirtualDomain agent finds the name only where it has a line of its own. */
export function domainXml({ guest, card, memoryMiB, disk, dataDisk, canGrow = false }: Domain): string {
  return `<domain type='qemu'>
  <name>${card.name}</name>
  <uuid>${domainUuid(card.macAddress)}</uuid>
${canGrow ? "  <maxMemory slots='4' unit='MiB'>8192</maxMemory>\n" : ''}  <memory unit='MiB'>${memoryMiB}</memory>
  ${canGrow ? "<vcpu current='1'>8</vcpu>" : '<vcpu>1</vcpu>'}
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>${escape(guest.vmlinux)}</kernel>
    <initrd>${escape(guest.initrd)}</initrd>
    <cmdline>${escape(guest.commandLine)}</cmdline>
  </os>
  <features><acpi/></features>
  ${canGrow ? `<cpu mode='maximum'><numa><cell id='0' cpus='0-7' memory='${memoryMiB}' unit='MiB'/></numa></cpu>` : "<cpu mode='maximum'/>"}
  <clock offset='utc'><timer name='hpet' present='no'/></clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/>
      <source file='${escape(disk)}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
${dataDisk === undefined ? '' : rawDisk(dataDisk)}    <interface type='bridge'>
      <mac address='${card.macAddress}'/>
      <source bridge='br0'/>
      <model type='virtio'/>
    </interface>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='null'><target port='0'/></serial>
${canGrow ? growthDevices : ''}  </devices>
</domain>
`
}

/** As many places as Dialtone's machines have. */
const growthDevices = `    <controller type='pci' model='pcie-root'/>
${"    <controller type='pci' model='pcie-root-port'/>\n".repeat(8)}    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
`

function rawDisk(path: string): string {
  return `    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source file='${escape(path)}'/>
      <target dev='vdb' bus='virtio'/>
    </disk>
`
}

/** The same on every host: libvirt takes another one for another machine. */
function domainUuid(macAddress: string): string {
  return `d1a17042-0000-4000-8000-${macAddress.replaceAll(':', '')}`
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll("'", '&apos;')
}
