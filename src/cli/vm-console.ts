/** The serial console of a VM on this terminal, or between pipes. */
import type { Duplex, Readable, Writable } from 'node:stream'
import { printableText } from '../model/printable-text.ts'
import { Interrupted, withInterrupt } from './interrupt.ts'

/** Ctrl-], as of telnet and virsh: rarely wanted by a guest. */
const escapeByte = 0x1d

export type ConsoleInput = Readable & { readonly isTTY?: boolean; readonly setRawMode?: (isRaw: boolean) => unknown }

export type ConsoleAttachment = {
  readonly stream: Duplex
  readonly name: string
  readonly input: ConsoleInput
  readonly output: Writable
  /** When input that is no terminal has ended: how much quiet of the guest ends the command. */
  readonly lingerMs: number
  readonly note: (text: string) => void
}

/**
 * Joins the console with the terminal until Ctrl-] is pressed or the machine closes it; with piped input until the guest is quiet after
 * its end. The terminal is as it was afterwards, also after an error or a signal.
 */
export async function attachConsole(attachment: ConsoleAttachment): Promise<void> {
  const { stream, input, note } = attachment
  const name = printableText(attachment.name)
  const isTerminal = input.isTTY === true
  note(isTerminal ? `Console of ${name}. Ctrl-] leaves it.\n` : `Console of ${name}.\n`)
  if (isTerminal) input.setRawMode?.(true)
  try {
    const ending = await withInterrupt('', (signal) => relay(attachment, isTerminal, signal))
    note(
      ending === 'closed' ? '\nThe console was closed by the other side.\n' : isTerminal ? '\nLeft the console.\n' : '',
    )
  } finally {
    if (isTerminal) input.setRawMode?.(false)
    input.destroy()
    stream.destroy()
  }
}

function relay(attachment: ConsoleAttachment, isTerminal: boolean, signal: AbortSignal): Promise<'left' | 'closed'> {
  const { stream, input, output, lingerMs } = attachment
  return new Promise((resolve, reject) => {
    let quiet: NodeJS.Timeout | undefined
    const settle = (how: () => void) => {
      clearTimeout(quiet)
      stream.unpipe(output)
      how()
    }
    const interrupted = () => reject(signal.reason instanceof Error ? signal.reason : new Interrupted(''))
    signal.addEventListener('abort', () => settle(interrupted), { once: true })
    stream.once('error', (error) => settle(() => reject(error)))
    for (const end of ['end', 'close']) stream.once(end, () => settle(() => resolve('closed')))
    stream.pipe(output, { end: false })
    stream.on('data', () => quiet?.refresh())
    input.on('data', (chunk: Buffer) => {
      const escape = isTerminal ? chunk.indexOf(escapeByte) : -1
      const isWritable = stream.write(escape === -1 ? chunk : chunk.subarray(0, escape))
      if (escape !== -1) return settle(() => resolve('left'))
      if (isWritable) return
      input.pause()
      stream.once('drain', () => input.resume())
    })
    input.once('end', () => {
      quiet = setTimeout(() => settle(() => resolve('left')), lingerMs)
    })
  })
}
