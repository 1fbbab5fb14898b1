/** Another product that does what Dialtone does, ready to be measured beside it: same QEMU, same guest, same outside client. */

export type PeerOptions = {
  readonly memoryMiB: number
  /**
   * How much of it the guest has written, nowhere with zeros, before it is saved. A peer that recovers by booting has no use for it: the
   * memory is empty again after each failure.
   */
  readonly filledMiB: number
  /** Says what takes long. */
  note(line: string): void
}

export type Peer = {
  readonly name: string
  /** Installs what is missing and brings it up with a guest that answers. Needs root. Throws, with nothing left behind, when it can't. */
  open(options: PeerOptions): Promise<OpenPeer>
}

export type OpenPeer = AsyncDisposable & {
  /** One failure and its recovery: milliseconds from the kill to the first correct answer. Afterwards the next can be taken. */
  sample(): Promise<number>
}
