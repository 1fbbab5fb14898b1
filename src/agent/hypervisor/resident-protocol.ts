/**
 * What is said between host and the agent that is resident in the guest, over the virtio serial port `org.dialtone.resident.0`. A message
 * is a few lines `key=value`, ended by an empty line; values hold no line breaks. Each request has an `id`, which its answer repeats; an
 * answer says `ok=1`, or `error=` and a sentence. Binary values are hexadecimal.
 */

export type ResidentRequest =
  /** Answers with the agent's version and what it can do. */
  | { readonly do: 'hello' }
  /** The same machine goes on after a pause or a resume from memory: new random numbers first, then the clock. */
  | { readonly do: 'resume'; readonly timeMs: number; readonly entropy: string }
  /** It is another machine from here on: random numbers, clock, names and keys first, then card and address. Sent with the link down. */
  | {
      readonly do: 'become'
      readonly timeMs: number
      readonly entropy: string
      readonly name: string
      readonly machineId: string
      readonly macAddress: string
      readonly address: string
      readonly prefixLength: number
      readonly gateway: string
    }
  /** The disk with this serial number is there: makes a file system if it has none, mounts it at /volumes/INDEX and runs the start hook. */
  | { readonly do: 'mount'; readonly serial: string; readonly index: number }
  | { readonly do: 'unmount'; readonly serial: string }
  /** Asks the guest's own service over its loopback, so often one after the other: what it takes to answer is at hand then. */
  | { readonly do: 'ask'; readonly port: number; readonly path: string; readonly times: number }
  /** Restarts the service, by the guest's own hook. */
  | { readonly do: 'restart' }

/** What the answer says beside `id` and `ok`. */
export type ResidentAnswer = Readonly<Record<string, string>>

/** Number of random bytes that go with `resume` and `become`. */
export const residentEntropyBytes = 64
