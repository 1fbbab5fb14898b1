/** Entry of the console. Everything that touches the browser's surroundings is handed out here. */
import '@mantine/core/styles.css'
import './styles.css'
import { MantineProvider } from '@mantine/core'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { createConsoleClient } from './api/console-client.ts'
import { App } from './app.tsx'
import { createCloudStore } from './cloud/cloud-store.ts'
import { theme } from './theme.ts'

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimeout(finish, milliseconds)
    signal.addEventListener('abort', finish)
  })
}

const client = createConsoleClient({
  fetch: (...call) => fetch(...call),
  openSocket: (path) => new WebSocket(new URL(path, location.href.replace(/^http/, 'ws'))),
  sleep,
})
const openStore = () => createCloudStore(client, { nowMs: Date.now, sleep })
const place = document.getElementById('console')
if (place !== null)
  createRoot(place).render(
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto">
        <App client={client} openStore={openStore} />
      </MantineProvider>
    </StrictMode>,
  )
