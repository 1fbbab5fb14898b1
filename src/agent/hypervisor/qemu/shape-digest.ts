/** What an image and a machine must have in common for the one to be resumed as the other: the devices that the guest sees. */
import { createHash } from 'node:crypto'
import type { MachineShape } from '../hypervisor.ts'
import type { MachinePlatform } from '../machine-platform.ts'
import { buildCommandLine } from './command-line.ts'

/** Said only where there is something to say: images of before there were any have the digest that they had. */
function pluggedInto({ plugged = [], moreCards = [] }: Pick<MachineShape, 'plugged' | 'moreCards'>): readonly string[] {
  const isInOrder = plugged.every(({ port = -1 }, index) => port < 0 || port === index)
  const ports = isInOrder ? '' : ` in ${plugged.map(({ port }) => port).join(' ')}`
  const cards = moreCards.flatMap(({ number, port }) => (port === undefined ? [] : [`card ${number} in ${port}`]))
  return [...(plugged.length === 0 ? [] : [`plugged ${plugged.length}${ports}`]), ...cards]
}

/** The options that say what the guest sees. The others say how it is carried out, which an image does not depend on. */
const seenByGuest = new Set(['-machine', '-cpu', '-smp', '-m', '-device', '-global'])

export function digestShape(
  shape: Pick<
    MachineShape,
    'hardware' | 'cpus' | 'memoryMiB' | 'growth' | 'disks' | 'plugged' | 'mtu' | 'moreCards' | 'platform'
  >,
): string {
  const nameless: MachineShape = {
    ...shape,
    disks: shape.disks.map(({ format }, index) => ({ volumeId: `disk${index}`, path: '', format })),
    vmId: '',
    name: '',
    macAddress: '',
    tapName: '',
    moreCards: (shape.moreCards ?? []).map((card) => ({ ...card, macAddress: '', tapName: '' })),
    platform: shape.platform === undefined ? undefined : namelessPlatform(shape.platform),
    generationId: '',
    userId: 0,
    runDirectory: '',
    cgroupDirectory: '',
  }
  const args = buildCommandLine(nameless, { fileLocking: true })
  const seen = args.flatMap((value, index) => {
    const option = args[index - 1] ?? ''
    return seenByGuest.has(option) ? [option, value] : []
  })
  return createHash('sha256')
    .update(JSON.stringify([shape.hardware.accelerator, ...seen, ...pluggedInto(shape)]))
    .digest('hex')
    .slice(0, 32)
}

function namelessPlatform({ guest, variablesPath, tpmDirectory, discs, seedPath }: MachinePlatform): MachinePlatform {
  const nameless = (path: string | undefined) => (path === undefined ? undefined : '')
  return {
    guest,
    variablesPath: nameless(variablesPath),
    tpmDirectory: nameless(tpmDirectory),
    discs: discs.map((path) => (path === null ? null : '')),
    seedPath: nameless(seedPath),
  }
}
