/** Options of `vm create` about the guest: how it boots, its discs, and what it is told about itself. */
import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import type { Command } from 'commander'
import type { CreateVmInput } from '../model/api/vm-routes.ts'
import { firmwareSchema, guestOsSchema, guestSchema } from '../model/guest.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { choiceOption, nameOption, sizeOption } from './option-parsers.ts'

export type GuestOptions = {
  readonly rootDisk?: number
  readonly os?: 'linux' | 'windows' | 'other'
  readonly firmware?: 'bios' | 'uefi'
  readonly secureBoot?: boolean
  readonly tpm?: boolean
  readonly display?: boolean
  readonly devices?: 'virtio' | 'emulated'
  readonly iso?: readonly string[]
  readonly userData?: string
  readonly sshKey?: readonly string[]
  readonly networkConfig?: string
}

export function addGuestOptions(command: Command): Command {
  return command
    .option('--root-disk <size>', 'size of its root disk; that of the template when left out', sizeOption)
    .option('--iso <disc>', 'a disc of the library in its drive; repeatable', nameOption)
    .option('--os <os>', 'its profile: linux, windows or other', choiceOption(guestOsSchema.options))
    .option('--firmware <firmware>', 'bios or uefi', choiceOption(firmwareSchema.options))
    .option('--secure-boot', 'start only what Microsoft has signed (with uefi)')
    .option('--no-secure-boot', 'start anything')
    .option('--tpm', 'with a TPM')
    .option('--no-tpm', 'without one')
    .option('--display', 'with a graphics card, seen by VNC')
    .option('--no-display', 'without one: it speaks on its serial console')
    .option(
      '--devices <kind>',
      'virtio (fast, needs drivers) or emulated (SATA and e1000e)',
      choiceOption(guestSchema.shape.devices.options),
    )
    .option('--user-data <file>', 'cloud-init’s user-data; - reads standard input')
    .option('--ssh-key <file>', 'a public key that may sign in; repeatable', nameOption)
    .option('--network-config <file>', 'cloud-init’s network configuration; DHCP on each card when left out')
}

export async function guestOf(
  options: GuestOptions,
): Promise<Pick<CreateVmInput, 'guest' | 'isos' | 'rootDiskMiB' | 'cloudInit'>> {
  const { os, firmware, secureBoot, tpm, display, devices } = options
  return {
    guest: { os, firmware, secureBoot, tpm, display, devices },
    isos: [...(options.iso ?? [])],
    rootDiskMiB: options.rootDisk,
    cloudInit: await cloudInitOf(options),
  }
}

async function cloudInitOf({
  userData,
  sshKey = [],
  networkConfig,
}: GuestOptions): Promise<CreateVmInput['cloudInit']> {
  if (userData === undefined && networkConfig === undefined && sshKey.length === 0) return null
  const keys: string[] = []
  // A file may have several keys, one a line.
  for (const path of sshKey) keys.push(...(await readText(path)).split('\n').filter((line) => /^[^\s#]/.test(line)))
  return {
    userData: userData === undefined ? null : await readText(userData),
    sshKeys: keys.map((key) => key.trimEnd()),
    networkConfig: networkConfig === undefined ? null : await readText(networkConfig),
  }
}

/** What is no text can't be sent as one: it would arrive as something else. */
async function readText(path: string): Promise<string> {
  const bytes = await (path === '-' ? buffer(process.stdin) : readFile(path)).catch(() => {
    throw new CommandFailure('not-found', `${path} can't be read.`, {
      exitCode: exitCodes.usage,
      next: 'Name a file that is there.',
    })
  })
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new CommandFailure('invalid-input', `${path} is no text in UTF-8.`, {
      exitCode: exitCodes.usage,
      next: 'Save it as UTF-8; pack binary data into base64, as cloud-config has it.',
    })
  }
}
