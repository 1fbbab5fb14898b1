/** Whether and where a machine runs. */
import assert from 'node:assert/strict'
import type { Before, Operation } from './operation.ts'
import type { Subject } from './subject.ts'

export const powerOperations = {
  'vm warm': {
    ask: ({ api, name }) => api.call('warmVm', { params: { vm: name } }),
    check: async ({ look }) => assert.notEqual((await look()).status.recovery?.image ?? null, null),
  },
  'vm migrate': {
    ask: ({ api, name }) => api.call('migrateVm', { params: { vm: name }, body: { force: true } }),
    check: isTheSame,
  },
  'vm pause': {
    changesContents: true,
    ask: ({ api, name }) => api.call('pauseVm', { params: { vm: name } }),
    check: async ({ until }) => void (await until('it is paused', ({ status }) => status.state === 'paused')),
    tidy: goOn,
  },
  'vm resume': {
    async prepare({ api, name, done }, state) {
      // One that is off has nothing to be paused, and one that stands still does not move.
      if (state !== 'stopped' && state !== 'migrating') await done(api.call('pauseVm', { params: { vm: name } }))
    },
    ask: ({ api, name }) => api.call('resumeVm', { params: { vm: name } }),
    check: isTheSame,
    tidy: goOn,
  },
  'vm reset': {
    ask: ({ api, name }) => api.call('resetVm', { params: { vm: name } }),
    check: hasBooted,
    changesContents: true,
  },
  'vm recover --by boot': {
    ask: ({ api, name }) => api.call('recoverVm', { params: { vm: name }, body: { rung: 'boot' } }),
    check: hasBooted,
    changesContents: true,
  },
  'vm stop': {
    ask: ({ api, name }) => api.call('stopVm', { params: { vm: name } }),
    check: isOff,
    changesContents: true,
  },
  'vm start': {
    ask: ({ api, name }) => api.call('startVm', { params: { vm: name } }),
    check: async ({ answer }) => void (await answer()),
  },
  'vm kill': {
    ask: ({ api, name }) => api.call('killVm', { params: { vm: name } }),
    check: isOff,
    changesContents: true,
  },
  'vm delete': {
    ask: ({ api, name }) => api.call('deleteVm', { params: { vm: name }, query: {} }),
    check: ({ look }) => assert.rejects(look(), /no VM/),
    changesContents: true,
  },
} as const satisfies Readonly<Record<string, Operation>>

async function isOff({ until }: Subject): Promise<void> {
  await until('it is off', ({ status }) => status.state === 'stopped')
}

async function isTheSame({ answer }: Subject, { seen }: Before): Promise<void> {
  const now = await answer()
  if (seen !== null) assert.equal(now.bootId, seen.bootId)
}

/** One that recovers from memory may have gone on from there, where its boot took longer than its probe allows. */
async function hasBooted(subject: Subject, { seen }: Before): Promise<void> {
  await subject.until('it has begun anew', async ({ status }) => {
    const { bootId } = await subject.answer()
    return bootId !== seen?.bootId || (status.recovery?.startedBy === 'resume' && status.pid !== seen.pid)
  })
}

async function goOn(subject: Subject): Promise<void> {
  if ((await subject.look()).status.state !== 'paused') return
  await subject.done(subject.api.call('resumeVm', { params: { vm: subject.name } }))
}
