/** The serial console of a machine by xterm, loaded when the first is opened. Follows the machine as long as the controller does. */
import '@xterm/xterm/css/xterm.css'
import { FitAddon } from '@xterm/addon-fit'
import { Terminal as Xterm } from '@xterm/xterm'
import { useEffect, useRef } from 'react'
import { asDialtoneError } from '../api/console-client.ts'
import { useConsole } from '../cloud/console-context.ts'

export type TerminalProps = {
  readonly vm: string
  readonly label: string
  /** The connection is there; or it has ended, with the reason if there is one. */
  readonly onState: (state: 'open' | 'ended', reason: string) => void
}

export function Terminal({ vm, label, onState }: TerminalProps) {
  const { client } = useConsole()
  const place = useRef<HTMLDivElement>(null)
  const tell = useRef(onState)
  tell.current = onState

  useEffect(() => {
    const element = place.current
    if (element === null) return undefined
    const xterm = new Xterm({ cursorBlink: true, fontSize: 14, screenReaderMode: true, scrollback: 5_000 })
    const fit = new FitAddon()
    xterm.loadAddon(fit)
    xterm.open(element)
    fit.fit()
    const sizes = new ResizeObserver(() => fit.fit())
    sizes.observe(element)
    const leaving = new AbortController()
    connect(leaving.signal).catch((caught: unknown) => {
      if (!leaving.signal.aborted) tell.current('ended', asDialtoneError(caught).message)
    })

    async function connect(signal: AbortSignal): Promise<void> {
      const { ticket } = await client.call('vmConsoleTicket', { params: { vm } }, { signal })
      const socket = client.openSocket('vmConsole', { params: { vm }, query: { ticket } })
      signal.addEventListener('abort', () => socket.close())
      if (signal.aborted) return socket.close()
      socket.binaryType = 'arraybuffer'
      const encoder = new TextEncoder()
      xterm.onData((text) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(encoder.encode(text))
      })
      socket.addEventListener('open', () => {
        tell.current('open', '')
        xterm.focus()
      })
      socket.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
        if (data instanceof ArrayBuffer) xterm.write(new Uint8Array(data))
      })
      socket.addEventListener('close', () => {
        if (!signal.aborted) tell.current('ended', '')
      })
    }

    return () => {
      leaving.abort()
      sizes.disconnect()
      xterm.dispose()
    }
  }, [client, vm])

  return <div ref={place} className="terminal" role="group" aria-label={label} />
}
