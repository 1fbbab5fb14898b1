/**
 * One catalogue of everything that can go wrong for a caller: code, HTTP status, whether a repeat may help, and what to do next.
 * The API, the CLI and the console show the same code, sentence and next step. Internal faults of ours are assertions, not entries.
 */
export const errorCatalogue = {
  'invalid-input': { status: 400, retryable: false, next: 'Correct the named field and send it again.' },
  'invalid-name': {
    status: 400,
    retryable: false,
    next: 'Use 1 to 40 small letters, digits and hyphens, beginning with a letter.',
  },
  unauthenticated: {
    status: 401,
    retryable: false,
    next: 'Sign in, or send the access token: dialtone reads it from the laboratory or from DIALTONE_TOKEN.',
  },
  'too-many-attempts': { status: 429, retryable: true, next: 'Wait as long as it says, then try again.' },
  forbidden: { status: 403, retryable: false, next: 'Ask an administrator for the role that this needs.' },
  'not-found': { status: 404, retryable: false, next: 'List the objects to see what exists.' },
  'name-taken': { status: 409, retryable: false, next: 'Choose another name, or delete the object that has it.' },
  'address-taken': {
    status: 409,
    retryable: false,
    next: 'Choose another address, or leave it out and one is assigned.',
  },
  'wrong-state': {
    status: 409,
    retryable: false,
    next: 'Look at the object and bring it into a state that allows this.',
  },
  'in-use': { status: 409, retryable: false, next: 'Detach or delete what uses it first.' },
  conflict: { status: 409, retryable: true, next: 'Somebody changed it at the same time: read it again and repeat.' },
  'no-host-fits': {
    status: 409,
    retryable: true,
    next: 'Free capacity, or ask for less; the verdict of each host says what it lacks.',
  },
  'reserve-broken': {
    status: 409,
    retryable: false,
    next: 'Add a host, free capacity or lower the reserve (dialtone cluster reserve), or override it with --force.',
  },
  'not-proven-dead': {
    status: 409,
    retryable: true,
    next: 'Wait for a proof, fence the host, or confirm with your name that it is off.',
  },
  'template-not-built': { status: 409, retryable: false, next: 'Build it: dialtone template build NAME.' },
  'image-corrupt': { status: 422, retryable: false, next: 'Restore or delete the file; nothing was changed.' },
  'revision-compacted': { status: 410, retryable: true, next: 'Read the present state and watch from its revision.' },
  'session-void': {
    status: 409,
    retryable: true,
    next: 'The agent restarted or another controller leads: the order is void and will be given anew.',
  },
  'session-replaced': {
    status: 409,
    retryable: false,
    next: 'A newer agent of this host was heard: this one ends, and its supervisor starts the next.',
  },
  'stale-epoch': { status: 409, retryable: false, next: 'A newer owner exists; this order is void.' },
  'licence-lost': {
    status: 409,
    retryable: true,
    next: 'The host may not run machines of shared storage until it is admitted again.',
  },
  'host-unreachable': { status: 503, retryable: true, next: 'Look at the host: dialtone host show HOST.' },
  'not-leader': { status: 503, retryable: true, next: 'Ask the controller that leads.' },
  'deadline-exceeded': {
    status: 504,
    retryable: true,
    next: 'It may still finish: look at the task or object before repeating.',
  },
  cancelled: { status: 499, retryable: false, next: 'What had begun was undone.' },
  'hypervisor-failed': { status: 502, retryable: true, next: 'Read the log of the machine on its host.' },
  'guest-silent': {
    status: 504,
    retryable: true,
    next: 'Look at its console: is the guest up, and does its agent run?',
  },
  'command-failed': {
    status: 502,
    retryable: false,
    next: 'Read its output, mend what failed, and repeat the update for the hosts that are left.',
  },
  'image-unfit': {
    status: 409,
    retryable: false,
    next: 'Capture a new one: dialtone vm warm VM, or dialtone template warm TEMPLATE.',
  },
  'cache-full': {
    status: 507,
    retryable: true,
    next: 'Give memory images more room on that host, or delete machines that recover from memory.',
  },
  'storage-failed': { status: 502, retryable: true, next: 'Look at the storage: is its path there and writable?' },
  'network-failed': { status: 502, retryable: true, next: 'Look at the host: are its bridge and links up?' },
  'machine-setup': { status: 500, retryable: false, next: 'Install or allow what is named, then repeat.' },
  internal: {
    status: 500,
    retryable: false,
    next: 'This is a defect of Dialtone: please report it with the log of the controller.',
  },
} as const satisfies Record<string, { status: number; retryable: boolean; next: string }>

export type ErrorCode = keyof typeof errorCatalogue

/** What went wrong outside of us, or what a caller asked for that cannot be done. `message` is one sentence with names in it. */
export class DialtoneError extends Error {
  readonly code: ErrorCode
  /** Structured detail for machines: the field, the verdicts of each host, the conflicting name. */
  readonly detail: unknown

  constructor(code: ErrorCode, message: string, options: { readonly cause?: unknown; readonly detail?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'DialtoneError'
    this.code = code
    this.detail = options.detail
  }
}
