/** `dialtone vm recover`: what would be done after each failure, and a recovery by hand. */
import { type Command, Option } from 'commander'
import { formatDuration } from '../model/age.ts'
import type { RecoveryPlan } from '../model/api/recovery-routes.ts'
import type { VmView } from '../model/api/views.ts'
import { printableText } from '../model/printable-text.ts'
import { type FailureCause, type Rung, rungSchema } from '../model/recovery/recovery-policy.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { confirmByName } from './confirm.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { type Listing, type Screen, writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

type RecoverOptions = {
  readonly plan?: boolean
  readonly rung?: Rung
  readonly yes?: boolean
  readonly detach?: boolean
}
type CausePlan = RecoveryPlan['causes'][number]

const headings: Readonly<Record<FailureCause, string>> = {
  'process-died': 'its process dies',
  'guest-panicked': 'its kernel panics',
  'guest-hung': 'its guest hangs',
  'wrong-answers': 'its service answers wrongly',
  'storage-lost': 'its storage is lost',
  'host-died': 'its host dies',
  unknown: 'it fails for an unknown reason',
}

/** Adds the verb `recover` to the command `vm`. */
export function addRecoverCommand(vm: Command): void {
  vm.command('recover')
    .description('say what would be done after each failure, or recover it now')
    .argument('<vm>')
    .option('--plan', 'only say what would be done and lost')
    .addOption(
      new Option('--rung <rung>', 'recover it by this step; default: the one that a failure would begin with').choices(
        rungSchema.options,
      ),
    )
    .option('--yes', 'do not ask')
    .option('--detach', 'return at once and let the task go on')
    .action((name: string, options: RecoverOptions, command: Command) =>
      withSession(command, (session) =>
        options.plan === true ? showPlan(session, name, options) : recoverNow(session, name, options),
      ),
    )
}

async function showPlan({ api, screen }: Session, name: string, { rung }: RecoverOptions): Promise<void> {
  if (rung !== undefined) {
    throw new CommandFailure('invalid-input', 'Give either --plan or --rung.', {
      exitCode: exitCodes.usage,
      next: `dialtone vm recover ${name} --plan shows every step.`,
    })
  }
  const plan = await api.call('getRecoveryPlan', { params: { vm: name } })
  if (screen.json) return writeJson(screen, plan)
  screen.write(`${printableText(plan.loss)}\n`)
  for (const warning of plan.warnings) screen.write(`${printableText(warning)}\n`)
  for (const cause of plan.causes) writeCause(screen, cause)
}

function writeCause(screen: Screen, { cause, found, steps, expectedMs, otherwise }: CausePlan): void {
  const expected = expectedMs === null ? '' : ` It serves again after ${formatDuration(expectedMs)}, to be expected.`
  screen.write(`\nWhen ${headings[cause]}: ${printableText(found)}${expected}\n`)
  if (steps.length > 0) writeListing(screen, [...steps.entries()], stepListing)
  screen.write(`${steps.length === 0 ? '' : 'Then: '}${printableText(otherwise)}\n`)
}

const stepListing: Listing<readonly [index: number, step: CausePlan['steps'][number]]> = {
  none: '',
  columns: [
    ['STEP', ([index]) => String(index + 1)],
    ['RUNG', ([, step]) => step.rung],
    ['WAITS', ([, step]) => (step.waitMs === 0 ? '-' : formatDuration(step.waitMs))],
    ['TAKES', ([, step]) => formatDuration(step.expectedMs)],
    ['CURES', ([, step]) => `${Math.round(step.probabilityOfCure * 100)} %`],
    ['LOSES', ([, step]) => step.loses],
  ],
}

async function recoverNow(session: Session, name: string, { rung, yes, detach }: RecoverOptions): Promise<void> {
  const { api, screen } = session
  const vm = await api.call('getVm', { params: { vm: name } })
  const plan = await api.call('getRecoveryPlan', { params: { vm: vm.id } })
  const chosen = chooseRung(plan, rung)
  await confirmByName(screen, { warning: warningOf(vm, chosen), name: vm.name, isGiven: yes === true })
  // By its id, and by this rung: what was confirmed is done, whatever has the name or would be chosen by now.
  const begun = await api.call('recoverVm', { params: { vm: vm.id }, body: { rung: chosen.rung } })
  if (detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  const recovered = await api.call('getVm', { params: { vm: vm.id } })
  if (screen.json) return writeJson(screen, { vm: recovered, task })
  const place = recovered.hostName === null ? '' : ` on ${recovered.hostName} (${recovered.address})`
  screen.write(printableText(`${recovered.name} is ${recovered.status.state}${place}.`).concat('\n'))
}

/** The rung that was asked for, or the one that a failure for no known reason would begin with; refused when it isn't possible. */
function chooseRung(plan: RecoveryPlan, wished: Rung | undefined): RecoveryPlan['byHand'][number] {
  const rung = wished ?? plan.causes.find(({ cause }) => cause === 'unknown')?.steps[0]?.rung
  const chosen = plan.byHand.find((one) => one.rung === rung)
  if (chosen !== undefined && chosen.obstacle === null) return chosen
  const why =
    chosen === undefined
      ? `Nothing can be tried to recover ${plan.vmName}.`
      : `${plan.vmName} can't be recovered by ${chosen.rung}: ${chosen.obstacle}.`
  throw new CommandFailure('wrong-state', why, {
    exitCode: exitCodes.failed,
    next: `See what is possible: dialtone vm recover ${plan.vmName} --plan.`,
  })
}

function warningOf(vm: VmView, { rung, loses }: RecoveryPlan['byHand'][number]): string[] {
  const place = vm.hostName === null ? '' : ` on ${vm.hostName}`
  const end =
    rung === 'restart-in-guest'
      ? `This restarts the service of ${vm.name} (${vm.status.state}${place}) in its guest.`
      : `This ends ${vm.name} as it is now (${vm.status.state}${place}) and brings it back by ${rung}.`
  return [end, `It loses ${loses}.`]
}
