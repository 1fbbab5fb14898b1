/** Who is signed in decides what is there: the sign-in page, or the console. */
import { RouterProvider } from '@tanstack/react-router'
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import type { SignedIn } from '../model/api/access-routes.ts'
import { asDialtoneError, type ConsoleClient } from './api/console-client.ts'
import type { CloudStore } from './cloud/cloud-store.ts'
import { ConsoleContext, type ConsoleParts, type Notice } from './cloud/console-context.ts'
import { Notices, type ShownNotice } from './components/notices.tsx'
import { router } from './router.tsx'
import { SignIn } from './sign-in.tsx'

type Who =
  | { readonly kind: 'asking' }
  | { readonly kind: 'nobody'; readonly hasEnded: boolean }
  | { readonly kind: 'known'; readonly signedIn: SignedIn }

export function App({ client, openStore }: { readonly client: ConsoleClient; readonly openStore: () => CloudStore }) {
  const [who, setWho] = useState<Who>({ kind: 'asking' })
  useEffect(() => {
    client.call('getSession', {}).then(
      (signedIn) => setWho({ kind: 'known', signedIn }),
      () => setWho({ kind: 'nobody', hasEnded: false }),
    )
  }, [client])
  if (who.kind === 'asking') return null
  if (who.kind === 'nobody')
    return (
      <SignIn client={client} hasEnded={who.hasEnded} onSignedIn={(signedIn) => setWho({ kind: 'known', signedIn })} />
    )
  return (
    <Console
      client={client}
      openStore={openStore}
      signedIn={who.signedIn}
      onEnd={(hasEnded) => setWho({ kind: 'nobody', hasEnded })}
    />
  )
}

type ConsoleProps = {
  readonly client: ConsoleClient
  readonly openStore: () => CloudStore
  readonly signedIn: SignedIn
  readonly onEnd: (hasEnded: boolean) => void
}

const noticeMs = 6_000

function Console({ client, openStore, signedIn, onEnd }: ConsoleProps) {
  const store = useMemo(openStore, [openStore])
  const [notices, setNotices] = useState<readonly ShownNotice[]>([])
  const count = useRef(0)
  const dismiss = useCallback((key: number) => setNotices((shown) => shown.filter((one) => one.key !== key)), [])
  const notify = useCallback(
    (notice: Notice) => {
      count.current += 1
      const key = count.current
      setNotices((shown) => [...shown.slice(-3), { ...notice, key }])
      // What failed stays until it was read.
      if (notice.kind === 'done') setTimeout(() => dismiss(key), noticeMs)
    },
    [dismiss],
  )
  useEffect(() => {
    const leaving = new AbortController()
    void store.follow(leaving.signal)
    return () => leaving.abort()
  }, [store])
  const { connection } = useSyncExternalStore(store.subscribe, store.view)
  useEffect(() => {
    if (connection.kind === 'signed-out') onEnd(true)
  }, [connection, onEnd])
  const parts = useMemo<ConsoleParts>(
    () => ({
      client,
      store,
      signedIn,
      notify,
      signOut() {
        client.call('signOut', {}).then(
          () => onEnd(false),
          (caught: unknown) => notify({ kind: 'failed', text: asDialtoneError(caught).message }),
        )
      },
    }),
    [client, store, signedIn, notify, onEnd],
  )
  return (
    <ConsoleContext.Provider value={parts}>
      <RouterProvider router={router} />
      <Notices notices={notices} onDismiss={dismiss} />
    </ConsoleContext.Provider>
  )
}
