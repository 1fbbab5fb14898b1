/** Does something on the controller and tells how it went: accepted, or refused with the reason and the next step. */
import { useCallback } from 'react'
import { errorCatalogue } from '../../model/dialtone-error.ts'
import { asDialtoneError, type ConsoleClient } from '../api/console-client.ts'
import { texts } from '../texts.ts'
import { useConsole } from './console-context.ts'

/** Resolves with whether it was accepted. Never rejects. */
export type Act = (what: string, work: (client: ConsoleClient) => Promise<unknown>) => Promise<boolean>

export function useAct(): Act {
  const { client, notify } = useConsole()
  return useCallback(
    async (what, work) => {
      try {
        await work(client)
        notify({ kind: 'done', text: texts.done.accepted(what) })
        return true
      } catch (caught) {
        const error = asDialtoneError(caught)
        notify({ kind: 'failed', text: error.message, next: errorCatalogue[error.code].next })
        return false
      }
    },
    [client, notify],
  )
}
