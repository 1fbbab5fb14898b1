/** What every page works with: the client, the cloud as it is, and who is signed in. */
import { createContext, useContext, useSyncExternalStore } from 'react'
import type { SignedIn } from '../../model/api/access-routes.ts'
import type { ConsoleClient } from '../api/console-client.ts'
import type { CloudState } from './cloud-state.ts'
import type { CloudStore, CloudView } from './cloud-store.ts'

export type ConsoleParts = {
  readonly client: ConsoleClient
  readonly store: CloudStore
  readonly signedIn: SignedIn
  /** Tells the person something: a result, or a refusal with its next step. */
  notify(notice: Notice): void
  signOut(): void
}

export type Notice = { readonly kind: 'done' | 'failed'; readonly text: string; readonly next?: string }

export const ConsoleContext = createContext<ConsoleParts | null>(null)

export function useConsole(): ConsoleParts {
  const parts = useContext(ConsoleContext)
  if (parts === null) throw new Error('this is inside the console only')
  return parts
}

export function useCloudView(): CloudView {
  const { store } = useConsole()
  return useSyncExternalStore(store.subscribe, store.view)
}

/** The cloud as it is now. Only for what is shown once it was loaded. */
export function useCloud(): CloudState {
  const { state } = useCloudView()
  if (state === null) throw new Error('the shell shows pages only when the cloud was loaded')
  return state
}
