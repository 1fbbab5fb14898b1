/** The moments of a move, as an outsider can see them: by the API's stream of changes, and by the log of the host that hands it over. */
import { type FSWatcher, watch } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { taskViewSchema, type VmView } from '../src/model/api/views.ts'
import { vmMigrationSchema } from '../src/model/migration/vm-migration.ts'
import { processesOf } from './machine-processes.ts'
import type { OpenLaboratory } from './open-laboratory.ts'

/** In their order. */
export const moments = [
  'asked for',
  'preparing',
  'sending',
  'handed over',
  'switched',
  'following',
  'letting go',
] as const
export type Moment = (typeof moments)[number]

const patienceMs = 40_000

/** Watches one move; to be opened before it is asked for. */
export async function watchMove(laboratory: OpenLaboratory, vm: VmView, destination: string) {
  const ending = new AbortController()
  const reached = new Map(moments.map((moment) => [moment, Promise.withResolvers<void>()]))
  const reach = (moment: Moment) => reached.get(moment)?.resolve()
  let newest = 'nothing of it was seen'
  const handingOver = await watchLog(
    join(laboratory.folder, 'hosts', vm.hostName ?? '', 'log', 'agent.log'),
    (line) => {
      if (line.includes(`stands still: ${destination} takes it over`)) reach('handed over')
    },
  )
  const following = follow()
  following.catch(() => undefined)
  return {
    /** Resolves when the move is there; rejects when it has gone by another way, or takes too long. */
    async until(moment: Moment): Promise<void> {
      const late = Promise.withResolvers<never>()
      const timer = setTimeout(() => late.reject(new Error(`the move was never seen ${moment}: ${newest}`)), patienceMs)
      await Promise.race([reached.get(moment)?.promise, late.promise]).finally(() => clearTimeout(timer))
      // A process waits for it there a moment after that was asked for.
      while (moment === 'preparing' && !(await processesOf(laboratory, vm.id)).has(destination));
    },
    async [Symbol.asyncDispose]() {
      ending.abort()
      handingOver.close()
      await following
    },
  }

  async function follow(): Promise<void> {
    for await (const { data } of laboratory.api.events('watch', {}, { signal: ending.signal })) {
      if (data.noun === 'task') notice(data.object)
      if (data.noun === 'vm' && data.id === vm.id && isSwitched(data.object)) reach('switched')
    }
  }

  function notice(object: unknown): void {
    const steps = stepsUnderWay(object)
    if (steps === undefined) return
    reach('asked for')
    if (steps.has('prepare')) reach('preparing')
    if (steps.has('move')) reach('sending')
    if (steps.has('follow')) reach('following')
    if (steps.has('let-go')) reach('letting go')
  }

  function stepsUnderWay(object: unknown): ReadonlySet<string> | undefined {
    const task = taskViewSchema.safeParse(object).data
    if (task?.kind !== 'vm.migrate' || task.vmId !== vm.id) return undefined
    newest = `${task.state}, ${task.message}`
    if (task.endedAt !== null) return undefined
    return new Set(task.steps.filter(({ state }) => state === 'running').map(({ name }) => name))
  }
}

function isSwitched(object: unknown): boolean {
  const migration = typeof object === 'object' && object !== null && 'migration' in object ? object.migration : null
  return vmMigrationSchema.safeParse(migration).data?.phase === 'switched'
}

/** Tells every line that comes to the log from now on, as soon as it is there. */
async function watchLog(path: string, tell: (line: string) => void): Promise<FSWatcher> {
  const file = await open(path, 'r')
  let offset = (await file.stat()).size
  let rest = ''
  let reading = Promise.resolve()
  const read = async () => {
    const chunk = Buffer.alloc(65_536)
    const { bytesRead } = await file.read(chunk, 0, chunk.length, offset)
    offset += bytesRead
    const lines = (rest + chunk.toString('utf8', 0, bytesRead)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) tell(line)
  }
  const watcher = watch(path, () => {
    reading = reading.then(read).catch(() => undefined)
  })
  watcher.once('close', () => {
    void reading.then(() => file.close())
  })
  return watcher
}
