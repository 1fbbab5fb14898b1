import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { type Guest, type GuestOs, guestProfiles } from '../../../model/guest.ts'
import type { MachinePlatform } from '../machine-platform.ts'
import { sampleDefinition } from '../sample-definition.ts'
import { buildCommandLine, machineUuid } from './command-line.ts'
import { qmpTypesVersion } from './qmp-types.ts'

const seedPath = '/run/dialtone/vm-abcd2345/seed.iso'
const besideDisk = { variablesPath: '/disks/firmware-variables.fd', tpmDirectory: '/disks/tpm' }
const cases = {
  'linux-bios-tcg': buildCommandLine(onPlatform('linux', { seedPath, discs: ['/discs/live, or not.iso', null] }), {
    fileLocking: true,
  }),
  'linux-uefi-tcg': buildCommandLine(onPlatform('linux', { ...besideDisk, guest: { boot: 'uefi', tpm: true } }), {
    fileLocking: true,
  }),
  'windows-kvm': buildCommandLine(
    {
      ...onPlatform('windows', { ...besideDisk, seedPath, discs: ['/discs/windows.iso', '/discs/drivers.iso'] }),
      hardware: { machineType: 'pc-q35-7.2', cpuModel: 'host', accelerator: 'kvm', qemuVersion: '7.2.22' },
    },
    { fileLocking: true },
  ),
  'one-disk-tcg': buildCommandLine(sampleDefinition(), { fileLocking: true }),
  'two-cards-tcg': buildCommandLine(
    sampleDefinition({ moreCards: [{ number: 2, macAddress: '52:00:01:05:00:02', mtu: 1450, tapName: 'dt7n2' }] }),
    { fileLocking: true },
  ),
  'growing-tcg': buildCommandLine(sampleDefinition({ cpus: 2, growth: { maximumCpus: 8, maximumMemoryMiB: 8192 } }), {
    fileLocking: true,
  }),
  'three-disks-kvm': buildCommandLine(
    sampleDefinition({
      cpus: 4,
      memoryMiB: 2048,
      hardware: { machineType: 'pc-q35-7.2', cpuModel: 'qemu64-v1,+aes', accelerator: 'kvm', qemuVersion: '7.2.22' },
      disks: [
        { volumeId: 'vol-root2345', path: '/disks/root.qcow2', format: 'qcow2' },
        { volumeId: 'vol-data2345', path: '/disks/data.raw', format: 'raw' },
        { volumeId: 'vol-logs2345', path: '/disks/odd, but legal.qcow2', format: 'qcow2' },
      ],
    }),
    { fileLocking: false },
  ),
}

/** A machine that boots by firmware, with everything that one may have. */
function onPlatform(
  os: GuestOs,
  changes: Partial<Omit<MachinePlatform, 'guest'>> & { readonly guest?: Partial<Guest> },
) {
  const { kernel: _none, ...shape } = sampleDefinition()
  const { guest, ...platform } = changes
  return {
    ...shape,
    disks: [...shape.disks, { volumeId: 'vol-data2345', path: '/disks/data.raw', format: 'raw' as const }],
    platform: { discs: [], ...platform, guest: { os, ...guestProfiles[os], ...guest } },
  }
}

/** One argument a line, with its value; written anew by UPDATE_GOLDEN=1, to be read before it is kept. */
for (const [name, args] of Object.entries(cases)) {
  test(`the command line is as in golden/${name}-7.2.txt`, async () => {
    assert.match(qmpTypesVersion, /^7\.2\./)
    const golden = new URL(`golden/${name}-7.2.txt`, import.meta.url)
    const text = `${args.join('\n').replaceAll(/\n(?!-[a-zA-Z])/g, ' ')}\n`
    if (process.env['UPDATE_GOLDEN'] === '1') await writeFile(golden, text)
    assert.equal(text, await readFile(golden, 'utf8'))
  })
}

test('a VM keeps its UUID in every life, and no two have the same', () => {
  assert.equal(machineUuid('vm-abcd2345'), machineUuid('vm-abcd2345'))
  assert.notEqual(machineUuid('vm-abcd2345'), machineUuid('vm-abcd2346'))
  assert.match(machineUuid('vm-abcd2345'), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})
