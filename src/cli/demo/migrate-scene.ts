/** The scene in which a machine moves to another host while somebody talks to it. */
import { setTimeout as delay } from 'node:timers/promises'
import { keepConnection } from './kept-connection.ts'
import type { SceneResult, Stage } from './scenes.ts'

const deadlineMs = 120_000
const asideMs = 300

/** Moves it under an open TCP connection. Throws when the connection did not survive. */
export async function moveMachine(stage: Stage, name: string): Promise<SceneResult> {
  const before = await stage.api.call('getVm', { params: { vm: name } })
  const connection = await keepConnection(before.address)
  await delay(asideMs)
  const startedAtMs = performance.now()
  const { task } = await stage.api.call('migrateVm', { params: { vm: name }, body: {} })
  stage.say(`${name} leaves ${before.hostName}; a client keeps its connection to it open and asks every 5 ms`)
  const message = await untilMoved(stage, task.id)
  const totalMs = performance.now() - startedAtMs
  await delay(asideMs)
  const { echoes, longestWaitMs } = await connection.end()
  const after = await stage.api.call('getVm', { params: { vm: name } })
  const longest = `${Math.round(longestWaitMs)} ms`
  stage.say(message)
  stage.say(`the same connection: ${echoes} questions, every answer came, the longest wait was ${longest}`)
  return {
    title: `${name} moved while it ran`,
    outcome: `from ${before.hostName} to ${after.hostName}; the connection stayed`,
    parts: [{ name: 'longest wait of the client', tookMs: longestWaitMs }],
    totalMs,
  }
}

async function untilMoved({ api }: Stage, taskId: string): Promise<string> {
  const givesUpAtMs = performance.now() + deadlineMs
  for (;;) {
    const task = await api.call('getTask', { params: { task: taskId } })
    if (task.state === 'succeeded') return task.message
    if (task.endedAt !== null || performance.now() > givesUpAtMs)
      throw new Error(`it could not be moved: ${task.error?.message ?? task.message}`)
    await delay(20)
  }
}
