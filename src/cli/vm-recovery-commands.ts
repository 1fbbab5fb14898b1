/** `dialtone vm set` and `dialtone vm warm`: how a VM recovers, and its memory image. */
import type { Command } from 'commander'
import type { VmView } from '../model/api/views.ts'
import { printableText } from '../model/printable-text.ts'
import { confirmByName } from './confirm.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { addRecoveryOptions, probeOf, type RecoveryOptions, recoveryOf } from './recovery-options.ts'
import { writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'

type SetOptions = RecoveryOptions & { readonly yes?: boolean }

export function addVmRecoveryCommands(vm: Command): void {
  addRecoveryOptions(
    vm.command('set').description('change how a VM recovers and what its service is, while it runs').argument('<vm>'),
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

async function setVm({ api, screen }: Session, name: string, options: SetOptions): Promise<void> {
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
  }
  const after: VmView = await api.call('changeVm', { params: { vm: before.id }, body })
  if (screen.json) return writeJson(screen, after)
  screen.write(`${printableText(`${after.name}: ${after.recoverySentence}`)}\n`)
}
