/** `dialtone vm cdrom …`: discs in the drives of a VM, while it runs or not. */
import type { Command } from 'commander'
import { cdromDrives } from '../model/iso.ts'
import { printableText } from '../model/printable-text.ts'
import { choiceOption } from './option-parsers.ts'
import { writeJson } from './screen.ts'
import { withSession } from './session.ts'

type DriveOptions = { readonly drive: string; readonly force?: boolean }

export function addCdromCommands(vm: Command): void {
  const cdrom = vm.command('cdrom').description('discs in its drives')
  const drives = Array.from({ length: cdromDrives }, (_, drive) => String(drive))
  const withDrive = (command: Command) =>
    command
      .option('--drive <number>', `which drive, ${drives.join(' or ')}`, choiceOption(drives), '0')
      .option('--force', 'also when the guest has locked the drive')
  withDrive(
    cdrom.command('insert').description('put a disc of the library into a drive').argument('<vm>').argument('<iso>'),
  ).action((...[name, iso, options, command]: [string, string, DriveOptions, Command]) =>
    change(command, { name, iso, options }),
  )
  withDrive(cdrom.command('eject').description('take the disc out of a drive').argument('<vm>')).action(
    (name: string, options: DriveOptions, command: Command) => change(command, { name, iso: null, options }),
  )
}

function change(
  command: Command,
  { name, iso, options }: { readonly name: string; readonly iso: string | null; readonly options: DriveOptions },
): Promise<void> {
  return withSession(command, async ({ api, screen }) => {
    const { drive, force = false } = options
    const vm = await api.call(
      'changeDrive',
      { params: { vm: name, drive }, body: { iso, force } },
      { timeoutMs: 130_000 },
    )
    if (screen.json) return writeJson(screen, vm)
    const what = iso === null ? 'is empty' : `has ${printableText(iso)} in it`
    screen.write(`Drive ${drive} of ${printableText(vm.name)} ${what}.\n`)
  })
}
