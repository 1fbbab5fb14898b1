/** The words that a command begins with. Each is loaded only when it is used: the start of `dialtone` is paid by everybody. */
import type { Command } from 'commander'

export type Noun = { readonly summary: string; readonly load: () => Promise<(command: Command) => void> }

export const nouns: Readonly<Record<string, Noun>> = {
  vm: {
    summary: 'virtual machines',
    load: async () => (await import('./vm-commands.ts')).addVmCommands,
  },
  host: {
    summary: 'the servers that run them',
    load: async () => (await import('./host-commands.ts')).addHostCommands,
  },
  apply: {
    summary: 'make a service as its file says',
    load: async () => (await import('./services/apply-command.ts')).addApplyCommand,
  },
  service: {
    summary: 'machines that serve together: state, restart tree, replicas',
    load: async () => (await import('./services/service-commands.ts')).addServiceCommands,
  },
  storage: {
    summary: 'where disks are kept',
    load: async () => (await import('./storage-commands.ts')).addStorageCommands,
  },
  volume: {
    summary: 'disks of VMs, and moving them',
    load: async () => (await import('./volume-commands.ts')).addVolumeCommands,
  },
  template: {
    summary: 'what VMs are made from',
    load: async () => (await import('./template-commands.ts')).addTemplateCommands,
  },
  'clone-set': {
    summary: 'copy several VMs of one instant, with their relations kept',
    load: async () => (await import('./clone-set-commands.ts')).addCloneSetCommand,
  },
  iso: {
    summary: 'discs that machines boot and install from',
    load: async () => (await import('./iso-commands.ts')).addIsoCommands,
  },
  task: {
    summary: 'long operations: follow and cancel them',
    load: async () => (await import('./task-commands.ts')).addTaskCommands,
  },
  event: {
    summary: 'what happened',
    load: async () => (await import('./event-commands.ts')).addEventCommands,
  },
  outage: {
    summary: 'when services were away, why, and for how long',
    load: async () => (await import('./ledger-commands.ts')).addOutageCommands,
  },
  availability: {
    summary: 'how many nines a service really has',
    load: async () => (await import('./ledger-commands.ts')).addAvailabilityCommand,
  },
  drill: {
    summary: 'make a machine fail on purpose, and measure its recovery',
    load: async () => (await import('./drill-commands.ts')).addDrillCommand,
  },
  cluster: {
    summary: 'the cluster as a whole',
    load: async () => (await import('./cluster-commands.ts')).addClusterCommands,
  },
  plan: {
    summary: 'what would be done now, and what a failure would do',
    load: async () => (await import('./plan-commands.ts')).addPlanCommand,
  },
  network: {
    summary: 'what VMs are connected to',
    load: async () => (await import('./network-commands.ts')).addNetworkCommands,
  },
  nic: {
    summary: 'network cards of VMs',
    load: async () => (await import('./nic-commands.ts')).addNicCommands,
  },
  firewall: {
    summary: 'security groups: what machines may be sent and may send',
    load: async () => (await import('./firewall-commands.ts')).addFirewallCommands,
  },
  user: {
    summary: 'who may sign in to the console',
    load: async () => (await import('./user-commands.ts')).addUserCommands,
  },
  token: {
    summary: 'access tokens for programs',
    load: async () => (await import('./token-commands.ts')).addTokenCommands,
  },
  doctor: {
    summary: 'check that what must hold does hold',
    load: async () => (await import('./cluster-commands.ts')).addDoctorCommand,
  },
  rebuild: {
    summary: 'enter a lost state anew from what hosts and disks tell',
    load: async () => (await import('./rebuild-command.ts')).addRebuildCommand,
  },
  completion: {
    summary: 'a script that completes commands in a shell',
    load: async () => (await import('./completion-commands.ts')).addCompletionCommands,
  },
  version: {
    summary: 'the version of this command',
    load: async () => (await import('./version-command.ts')).addVersionCommand,
  },
}

/** Words that other programs carry out, with all that follows them. */
export const passedOn: Readonly<Record<string, string>> = {
  up: 'start a laboratory: a cloud on this machine',
  down: 'stop it',
  status: 'say whether it runs, and how',
  lab: 'break and mend its hosts: cut, heal, power-off …',
  demo: 'watch a cloud survive its failures',
}
