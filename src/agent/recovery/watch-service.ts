/** Watches whether a machine's service answers correctly: finds that it is up, that it has failed, and that it is back. */
import { flatNetworkId, type VmId } from '../../model/ids.ts'
import type { MachineNic, MachineOrder } from '../../model/machine-order.ts'
import type { RecoveryRecord } from '../../model/recovery/recovery-record.ts'
import type { Keeping } from '../machines/keeping.ts'
import type { MachinePorts } from '../machines/machine-ports.ts'
import { type CheckOnce, createProber, type ProbeChange, type Prober } from '../probes/prober.ts'
import { noteCured } from './climb.ts'

export type ServiceListener = {
  /** It answered correctly for the first time since this was asked for. Told once. */
  onServing(): void
  /** It answers wrongly, or not at all, for longer than its probe allows. */
  onFailed(detail: string): void
}

/** Looks from now on, and tells this listener from now on. One that looks already goes on looking. */
export function watchService(keeping: Keeping, listener: ServiceListener): void {
  const { record, ports, vmId } = keeping
  const { probe, nic } = record.machine
  if (probe === null) {
    keeping.service = 'unprobed'
    listener.onServing()
    return
  }
  let isServing = false
  const serve = () => {
    if (isServing) return
    isServing = true
    listener.onServing()
  }
  keeping.onProbe = (change) => {
    keeping.service = isCorrect(change) ? 'correct' : 'wrong'
    noteChange(ports, { vmId, prober: 'own', change })
    if (change.kind === 'service-failed') listener.onFailed(change.detail)
    // What was made to fail and never was seen as a failure is over.
    if (change.kind === 'answer-back' && keeping.failure === undefined) keeping.drill = undefined
    // The answer may come before the start is through, which then asks for it.
    if (keeping.service === 'correct' && keeping.running !== undefined) {
      noteCured(keeping)
      serve()
    }
    ports.reportSoon()
  }
  if (keeping.prober !== undefined) {
    // Its first answer may have come before anybody asked to be told.
    if (keeping.service === 'correct') {
      noteCured(keeping)
      serve()
    }
    // It may have been paused in the life before.
    keeping.prober.start()
    return
  }
  keeping.service = 'unknown'
  keeping.prober = createProber({
    target: { vmId, address: nic.address },
    probe,
    runInGuest: (command, timeoutMs) =>
      keeping.running === undefined
        ? Promise.reject(new Error('its process is gone'))
        : keeping.running.runInGuest(command, timeoutMs),
    checkOnce: askingAs(nic, ports),
    clock: ports.clock,
    logger: ports.logger,
    onChange: (change) => keeping.onProbe?.(change),
  })
  keeping.prober.start()
}

/** Asks as the machine's network wants it: machines with the same address in other networks are not meant. */
function askingAs({ networkId }: MachineNic, { network, checkOnce }: MachinePorts): CheckOnce {
  return async (question) => {
    try {
      const { askFrom } = await network.settingsOf(networkId)
      return await checkOnce(askFrom === null ? question : { ...question, askFrom })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      return { isCorrect: false, isSilent: true, reason: `its network can't be asked: ${reason}` }
    }
  }
}

function isCorrect(change: ProbeChange): boolean {
  return change.kind === 'answer-back' || change.kind === 'serving' || (change.kind === 'began' && change.isCorrect)
}

/** It has failed, as is known from elsewhere: asked again at once and often, until it answers. */
export function hurryWatch({ prober }: Keeping, reason: string): void {
  prober?.hurry(reason)
}

/** Its owner wants it to stand still: what it doesn't answer now is no failure. */
export function pauseWatch(keeping: Keeping): void {
  if (keeping.prober === undefined) return
  keeping.prober.pause()
  keeping.service = 'unknown'
}

export function resumeWatch({ prober }: Keeping): void {
  prober?.start()
}

/** Nobody looks any more. */
export function endWatch(keeping: Keeping): void {
  const { prober, ports, vmId } = keeping
  if (prober === undefined) return
  prober.stop()
  keeping.prober = undefined
  keeping.onProbe = undefined
  keeping.service = 'unprobed'
  ports.journal.note({ kind: 'probing-ended', vmId, at: ports.clock.wallTime().toISOString(), prober: 'own' })
}

/** Looks at a machine of another host, for the ledger only. Undefined when it has no probe that could be asked from here. */
export function watchElsewhere({ vmId, nic, probe }: MachineOrder, ports: MachinePorts): Prober | undefined {
  // In a network of its own a host hears its own machines only.
  if (probe === null || probe.check.kind === 'exec' || nic.networkId !== flatNetworkId) return undefined
  const prober = createProber({
    target: { vmId, address: nic.address },
    probe,
    checkOnce: ports.checkOnce,
    clock: ports.clock,
    logger: ports.logger,
    onChange: (change) => noteChange(ports, { vmId, prober: 'other', change }),
  })
  prober.start()
  return prober
}

type Seen = { readonly vmId: VmId; readonly prober: 'own' | 'other'; readonly change: ProbeChange }

function noteChange({ journal }: MachinePorts, seen: Seen): void {
  const record = recordOf(seen)
  if (record !== undefined) journal.note(record)
}

function recordOf({ vmId, prober, change }: Seen): RecoveryRecord | undefined {
  const base = { vmId, at: change.at.toISOString(), prober }
  switch (change.kind) {
    case 'began':
      return { kind: 'probing-began', ...base, isCorrect: change.isCorrect }
    case 'answer-lost':
      return { kind: 'answer-lost', ...base, lastCorrectAt: isoOf(change.lastCorrectAt), detail: change.detail }
    case 'answer-back':
      return { kind: 'answer-back', ...base, lastWrongAt: isoOf(change.lastWrongAt) }
    case 'serving':
    case 'service-failed':
      return undefined
  }
}

function isoOf(date: Date | null): string | null {
  return date === null ? null : date.toISOString()
}
