/** The guests of one boot of a simulated host: every machine that its kernel starts is followed from its first moment. */
import type { FakeMachine } from '../../agent/hypervisor/fake/fake-world.ts'
import {
  cutGuest,
  endGuest,
  type Guest,
  type GuestSurroundings,
  letGuestRun,
  letGuestStand,
  makeGuest,
  whenDrained,
} from './guest.ts'
import type { HostKernel } from './host-kernel.ts'

export type Guests = {
  /** Follows every machine of this kernel from now on. */
  follow(kernel: HostKernel): void
  /** Resolves when nothing of it is in flight; throws `deadline-exceeded` after a while. */
  drained(machine: FakeMachine): Promise<void>
  /** Nothing in it goes on until `goOn`, and it answers nobody: QEMU was stopped, or its host stands still. */
  standStill(machine: FakeMachine): void
  goOn(machine: FakeMachine): void
  /** SIGKILL to one that can't be killed at the moment: it ends as soon as it can. */
  endWhenPossible(machine: FakeMachine): void
  /** It has crashed, with a write that hangs: its vCPUs stand and it answers nobody, but its kernel can't reap it before the write is over. */
  dieWhenPossible(machine: FakeMachine): void
  /** The host has lost power: nothing of them happens any more, and nobody is told. */
  cut(): void
}

export function createGuests(around: GuestSurroundings): Guests {
  const guests = new Map<FakeMachine, Guest>()

  const begin = (machine: FakeMachine) => {
    const guest = makeGuest(machine, around)
    guests.set(machine, guest)
    machine.observers.add({
      onEvent(event) {
        if (event.kind !== 'state') return
        if (event.state === 'running') letGuestRun(guest, around)
        else letGuestStand(guest, around)
      },
      onExit() {
        endGuest(guest, around)
        guests.delete(machine)
      },
    })
  }
  const withGuest = (machine: FakeMachine, work: (guest: Guest) => void) => {
    const guest = guests.get(machine)
    if (guest !== undefined) work(guest)
  }

  const standStill = (machine: FakeMachine, guest: Guest) => {
    machine.isDeaf = true
    letGuestStand(guest, around)
    guest.isStopped = true
  }

  return {
    follow({ processes }) {
      const { put } = processes
      processes.put = (machine) => {
        put(machine)
        begin(machine)
      }
    },
    async drained(machine) {
      const guest = guests.get(machine)
      if (guest !== undefined) await whenDrained(guest, around)
    },
    standStill: (machine) => withGuest(machine, (guest) => standStill(machine, guest)),
    goOn: (machine) =>
      withGuest(machine, (guest) => {
        machine.isDeaf = false
        guest.isStopped = false
        letGuestRun(guest, around)
      }),
    endWhenPossible: (machine) =>
      withGuest(machine, (guest) => {
        guest.isToEnd = true
      }),
    dieWhenPossible: (machine) =>
      withGuest(machine, (guest) => {
        standStill(machine, guest)
        guest.isToEnd = true
      }),
    cut() {
      for (const guest of guests.values()) cutGuest(guest, around)
      guests.clear()
    },
  }
}
