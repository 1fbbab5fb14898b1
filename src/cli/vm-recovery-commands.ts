/** `dialtone vm set` and `dialtone vm warm`: a VM's size, how it recovers, and its memory image. */
import type { Command } from 'commander'
import type { VmView } from '../model/api/views.ts'
import { formatSize } from '../model/byte-size.ts'
import { printableText } from '../model/printable-text.ts'
import { confirmByName } from './confirm.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { tellPending } from './pending-lines.ts'
import { addRecoveryOptions, probeOf, type RecoveryOptions, recoveryOf } from './recovery-options.ts'
import { writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'
import { addSizeOptions, limitsOf, type SizeOptions } from './size-options.ts'

type SetOptions = RecoveryOptions & SizeOptions & { readonly yes?: boolean }

export function addVmRecoveryCommands(vm: Command): void {
  addRecoveryOptions(
    addSizeOptions(
      vm
        .command('set')
        .description('change the size and limits of a VM, how it recovers and what its service is, while it runs')
        .argument('<vm>'),
    ),
  )
    .option('--drillable', 'failures may be injected into it without asking')
    .option('--no-drillable', 'drills ask again')
    .option('--yes', 'do not ask')
    .action((name: string, options: SetOptions, command: Command) =>
      withSession(command, (session) => setVm(session, name, options)),
    )
  vm.command('warm')
    .description('capture a new image of its memory, which recoveries resume from then on')
    .argument('<vm>')
    .option('--detach', 'return at once and let the task go on')
    .action((name: string, options: { readonly detach?: boolean }, command: Command) =>
      withSession(command, async (session) => {
        const begun = await session.api.call('warmVm', { params: { vm: name } })
        if (options.detach === true) return writeBegun(session.screen, begun)
        const task = await followTask(session, begun.task)
        const view = await session.api.call('getVm', { params: { vm: begun.vm.id } })
        if (session.screen.json) return writeJson(session.screen, { vm: view, task })
        session.screen.write(`${printableText(`${view.name}: ${view.recoverySentence}`)}\n`)
      }),
    )
}

async function setVm(session: Session, name: string, options: SetOptions): Promise<void> {
  const { api, screen } = session
  const recovery = recoveryOf(options)
  const probe = probeOf(options)
  const before = await api.call('getVm', { params: { vm: name } })
  if (recovery?.mode === 'warm' && before.recovery.mode !== 'warm') {
    const warning = [
      `After a failure ${before.name} will return to the moment when it first served: what is written to its root disk`,
      'after that moment is lost then. Data on its further disks is not.',
    ]
    await confirmByName(screen, { warning, name: before.name, isGiven: options.yes === true })
  }
  const body = {
    ...(recovery === undefined ? {} : { recovery }),
    ...(probe === undefined ? {} : { probe }),
    ...(options.drillable === undefined ? {} : { drillable: options.drillable }),
    cpus: options.cpus,
    memoryMiB: options.memory,
    limits: limitsOf(options),
    force: options.force,
  }
  const changed: VmView = await api.call('changeVm', { params: { vm: before.id }, body })
  const isOfHardware = options.cpus !== undefined || options.memory !== undefined || body.limits !== undefined
  const after = isOfHardware ? await tellPending(session, changed) : changed
  if (screen.json) return writeJson(screen, after)
  if (recovery !== undefined || probe !== undefined || !isOfHardware)
    screen.write(`${printableText(`${after.name}: ${after.recoverySentence}`)}\n`)
  if (isOfHardware && after.pending.length === 0) screen.write(`${printableText(describeSize(after))}\n`)
}

function describeSize({ name, cpus, memoryMiB }: VmView): string {
  return `${name} has ${cpus} CPU${cpus === 1 ? '' : 's'} and ${formatSize(memoryMiB)} of memory.`
}
