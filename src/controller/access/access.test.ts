/** Who gets in, with what, and what another site cannot make a browser do: over real HTTP, on a cloud in memory. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startCloud } from '../../engine/cloud.fixture.ts'
import { consoleHeader } from '../../model/access.ts'
import { accessRoutes } from '../../model/api/access-routes.ts'
import { clusterRoutes } from '../../model/api/cluster-routes.ts'
import type { Clock } from '../../model/clock.ts'
import { startService } from '../../transport/test-service.ts'
import { accessHandlers } from './access-handlers.ts'
import { identifyCaller } from './identify-caller.ts'
import { createSignInBrake } from './sign-in-brake.ts'

const contract = {
  ...accessRoutes,
  setNetwork: clusterRoutes.setNetwork,
  cancelTask: clusterRoutes.cancelTask,
} as const
const own = { [consoleHeader]: '1' }
const ann = { userName: 'ann', password: 'a long sentence' }

async function open(context: TestContext) {
  const cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  context.after(() => cloud[Symbol.asyncDispose]())
  const { leader } = cloud.engine()
  const clusterId = leader.index.state().cluster.id
  /** Ahead of the cloud's, which would go through every heartbeat of half a day. */
  const time = { aheadMs: 0 }
  const clock: Clock = {
    ...cloud.clock,
    wallTime: () => new Date(cloud.clock.wallTime().getTime() + time.aheadMs),
    bootTimeMs: () => cloud.clock.bootTimeMs() + time.aheadMs,
  }
  const handlers = {
    ...accessHandlers({ engine: cloud.engine(), brake: createSignInBrake(clock) }),
    setNetwork: () => assert.fail('nobody here may do this'),
    cancelTask: () => assert.fail('nobody here may do this'),
  }
  const service = await startService(context, [contract, handlers], {
    identify: identifyCaller({ store: leader.store, clock, clusterId }),
  })
  const ask = async (
    method: string,
    path: string,
    { headers = {}, body }: { headers?: object; body?: object } = {},
  ) => {
    const response = await fetch(`${service.baseUrl}${path}`, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const answer = JSON.parse(await response.text())
    return { status: response.status, answer, cookie: response.headers.get('set-cookie') ?? '' }
  }
  const administrator = accessHandlers({ engine: cloud.engine(), brake: createSignInBrake(cloud.clock) })
  const scope = { signal: new AbortController().signal, after: undefined }
  const root = { name: 'admin', role: 'administrator' } as const
  const addUser = async (name: 'ann', role: 'viewer' | 'administrator') =>
    administrator.createUser(
      { params: undefined, query: undefined, body: { name, role, password: ann.password } },
      root,
      scope,
    )
  const signIn = async () => {
    const { status, cookie } = await ask('POST', '/v1/session', { body: ann })
    assert.equal(status, 201)
    return cookie.split(';')[0] ?? ''
  }
  return { ask, addUser, signIn, cloud, service, time }
}

test('a user signs in and is who the session says, until signing out', async (context) => {
  const { ask, addUser, signIn } = await open(context)
  await addUser('ann', 'viewer')
  const cookie = await signIn()
  const { answer } = await ask('GET', '/v1/session', { headers: { cookie } })
  assert.deepEqual([answer.userName, answer.role], ['ann', 'viewer'])
  const signedOut = await ask('DELETE', '/v1/session', { headers: { cookie, ...own } })
  assert.equal(signedOut.status, 200)
  assert.match(signedOut.cookie, /Max-Age=0/)
  assert.equal(
    (await ask('GET', '/v1/session', { headers: { cookie } })).status,
    401,
    'the cookie is worth nothing now',
  )
})

test('the cookie is for no script, no other site, and is not what the store has', async (context) => {
  const { ask, addUser, cloud } = await open(context)
  await addUser('ann', 'viewer')
  const { cookie } = await ask('POST', '/v1/session', { body: ann })
  assert.match(cookie, /; HttpOnly; SameSite=Strict; Max-Age=43200/)
  const secret = /=([\w-]{43});/.exec(cookie)?.[1] ?? assert.fail('a secret of 32 bytes')
  const { entries } = await cloud.engine().leader.store.range('')
  const all = entries.map(({ key, value }) => key + value).join('\n')
  assert.equal(all.includes(secret), false)
  assert.equal(all.includes(ann.password), false)
})

test('a change with a cookie needs the console’s header and its origin', async (context) => {
  const { ask, addUser, signIn, service } = await open(context)
  await addUser('ann', 'viewer')
  const cookie = await signIn()
  const change = async (headers: object) => {
    const body = { present: ann.password, next: 'another sentence' }
    return (await ask('PUT', '/v1/session/password', { headers: { cookie, ...headers }, body })).status
  }
  assert.equal(await change({}), 403, 'a form of another site has no header')
  assert.equal(await change({ ...own, origin: 'https://evil.example' }), 403)
  assert.equal(await change({ ...own, origin: 'null' }), 403)
  assert.equal(await change({ ...own, origin: service.baseUrl }), 200)
})

test('a viewer’s change is refused, with the role that it needs', async (context) => {
  const { ask, addUser, signIn } = await open(context)
  await addUser('ann', 'viewer')
  const headers = { cookie: await signIn(), ...own }
  const { status, answer } = await ask('POST', '/v1/tasks/task-aaaaaaaa/cancel', { headers })
  assert.equal(status, 403)
  assert.match(answer.error.message, /needs the role operator; ann has the role viewer/)
})

test('a guesser waits, also for the right password, and somebody else does not', async (context) => {
  const { ask, addUser, signIn, time } = await open(context)
  await addUser('ann', 'viewer')
  for (let guess = 0; guess < 5; guess += 1) {
    const { status, answer } = await ask('POST', '/v1/session', { body: { ...ann, password: `guess ${guess}` } })
    assert.equal(status, 401)
    assert.equal(answer.error.message, 'There is no user with this name and password.')
  }
  const { status, answer } = await ask('POST', '/v1/session', { body: ann })
  assert.equal(status, 429)
  assert.match(answer.error.message, /wait \d+ s/)
  assert.equal((await ask('POST', '/v1/session', { body: { ...ann, userName: 'bob' } })).status, 401)
  time.aheadMs = 60_001
  await signIn()
})

test('a session ends with its time, and with a new password set by an administrator', async (context) => {
  const { ask, addUser, signIn, time } = await open(context)
  await addUser('ann', 'administrator')
  const first = { cookie: await signIn() }
  const second = { cookie: await signIn(), ...own }
  const body = { password: 'quite another one' }
  assert.equal((await ask('PUT', '/v1/users/ann/password', { headers: second, body })).status, 200)
  assert.equal((await ask('GET', '/v1/session', { headers: first })).status, 401)
  const { cookie } = await ask('POST', '/v1/session', { body: { userName: 'ann', ...body } })
  const third = { cookie: cookie.split(';')[0] ?? '' }
  time.aheadMs = 12 * 3_600_000 + 1
  assert.equal((await ask('GET', '/v1/session', { headers: third })).status, 401)
})

test('a token does what its role allows, until it is revoked or has expired', async (context) => {
  const { ask, addUser, signIn, time } = await open(context)
  await addUser('ann', 'administrator')
  const headers = { cookie: await signIn(), ...own }
  const make = async (name: string, more: object) =>
    (await ask('POST', '/v1/access-tokens', { headers, body: { name, role: 'viewer', ...more } })).answer
  const bearer = ({ token }: { token: string }) => ({ headers: { authorization: `Bearer ${token}` } })
  const [kept, short] = [await make('kept', {}), await make('short', { validForSeconds: 60 })]
  assert.equal((await ask('GET', '/v1/session', bearer(kept))).answer.userName, 'kept')
  assert.equal((await ask('GET', '/v1/users', bearer(kept))).status, 403)
  assert.equal((await ask('GET', '/v1/session', bearer(short))).status, 200)
  time.aheadMs = 61_000
  assert.equal((await ask('GET', '/v1/session', bearer(short))).status, 401)
  await ask('DELETE', '/v1/access-tokens/kept', { headers })
  assert.equal((await ask('GET', '/v1/session', bearer(kept))).status, 401)
  assert.equal((await ask('GET', '/v1/session', { headers: { authorization: 'Basic YTpi' } })).status, 401)
})
