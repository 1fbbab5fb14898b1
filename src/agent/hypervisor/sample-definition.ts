/** A machine for tests, whole; a test names only what it is about. */
import { vmIdSchema } from '../../model/ids.ts'
import type { MachineDefinition } from './hypervisor.ts'

export function sampleDefinition(changes: Partial<MachineDefinition> = {}): MachineDefinition {
  return {
    vmId: 'vm-abcd2345',
    life: { vmId: vmIdSchema.parse('vm-abcd2345'), epoch: 3, incarnation: 0 },
    name: 'web-1',
    hardware: { machineType: 'pc-q35-7.2', cpuModel: 'qemu64-v1', accelerator: 'tcg', qemuVersion: '7.2.22' },
    cpus: 1,
    memoryMiB: 64,
    macAddress: '52:54:00:00:00:07',
    tapName: 'tap7',
    disks: [{ volumeId: 'vol-root2345', path: '/disks/root.qcow2', format: 'qcow2' }],
    kernel: {
      vmlinux: '/templates/tiny/vmlinux',
      initrd: '/templates/tiny/initrd.img',
      commandLine: 'console=ttyS0 quiet',
    },
    generationId: '3a7c1f9e-4a51-4c0e-8d0a-5b1a4d2b8f10',
    userId: 61007,
    runDirectory: '/run/dialtone/vm-abcd2345',
    cgroupDirectory: '/sys/fs/cgroup/dialtone/vm-abcd2345',
    ...changes,
  }
}
