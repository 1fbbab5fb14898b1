/** An answer of the controller that isn't in the stream of changes: asked again when an event says that it may be another one. */
import { useCallback, useEffect, useRef, useState } from 'react'
import type { ApiContract } from '../../model/api/contract.ts'
import type { CallInput, CallOutput } from '../../model/api/route.ts'
import type { DialtoneError } from '../../model/dialtone-error.ts'
import { asDialtoneError, type CallName } from '../api/console-client.ts'
import { useCloud, useConsole } from './console-context.ts'

export type Answer<T> = {
  /** The last good one; stays while it is asked again. */
  readonly value: T | null
  readonly error: DialtoneError | null
  reload(): void
}

/** Events come in bursts: one question for each. */
const gatherMs = 400

/** `after`: asks again when the newest event whose kind begins like one of these is another one. */
export function useAnswer<Name extends CallName>(
  name: Name,
  input: CallInput<ApiContract[Name]>,
  { after = [] }: { readonly after?: readonly string[] } = {},
): Answer<CallOutput<ApiContract[Name]>> {
  const { client } = useConsole()
  const { events } = useCloud()
  const [value, setValue] = useState<CallOutput<ApiContract[Name]> | null>(null)
  const [error, setError] = useState<DialtoneError | null>(null)
  const [turn, setTurn] = useState(0)
  const newest = events.find(({ kind }) => after.some((start) => kind.startsWith(start)))
  const moment = newest === undefined ? '' : `${newest.revision} ${newest.at}`
  const asked = JSON.stringify(input)
  const present = useRef(input)
  present.current = input
  const isFirst = useRef(true)

  useEffect(() => {
    const ending = new AbortController()
    const ask = () => {
      client.call(name, present.current, { signal: ending.signal }).then(
        (answer) => {
          if (ending.signal.aborted) return
          setValue(answer)
          setError(null)
        },
        (caught: unknown) => {
          if (!ending.signal.aborted) setError(asDialtoneError(caught))
        },
      )
    }
    const timer = setTimeout(ask, isFirst.current ? 0 : gatherMs)
    isFirst.current = false
    return () => {
      clearTimeout(timer)
      ending.abort()
    }
  }, [client, name, asked, moment, turn])

  return { value, error, reload: useCallback(() => setTurn((before) => before + 1), []) }
}
