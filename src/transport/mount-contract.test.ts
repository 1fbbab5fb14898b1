import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as startRequest } from 'node:http'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { z } from 'zod'
import type { Contract, Role } from '../model/api/route.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { LogFields } from '../model/logger.ts'
import type { Handlers } from './mount-contract.ts'
import { startService } from './test-service.ts'

const diskSchema = z.object({ sizeMiB: z.number().int().min(1) })
const contract = {
  getVm: {
    method: 'GET',
    path: '/v1/vms/:vm',
    role: 'viewer',
    summary: '',
    params: z.object({ vm: z.string().max(8) }),
    query: z.object({ limit: z.coerce.number().int().default(5), force: z.stringbool().default(false) }),
    response: z.object({ vm: z.string(), limit: z.number(), force: z.boolean() }),
  },
  createVm: {
    method: 'POST',
    path: '/v1/vms',
    role: 'operator',
    summary: '',
    body: z.object({ name: z.string(), cpus: z.number().default(1), disks: z.array(diskSchema).default([]) }),
    response: z.object({ name: z.string(), cpus: z.number() }),
    status: 202,
  },
  deleteVm: {
    method: 'DELETE',
    path: '/v1/vms/:vm',
    role: 'administrator',
    summary: '',
    params: z.object({ vm: z.string() }),
    status: 204,
  },
  heartbeat: {
    method: 'POST',
    path: '/v1/heartbeat',
    role: 'host',
    summary: '',
    response: z.object({ who: z.string() }),
  },
  health: { method: 'GET', path: '/v1/health', role: 'none', summary: '', response: z.object({ who: z.string() }) },
  fail: {
    method: 'POST',
    path: '/v1/fail',
    role: 'viewer',
    summary: '',
    body: z.object({ how: z.enum(['known', 'unknown', 'secret', 'hang']) }),
    response: z.object({ ok: z.boolean() }),
  },
} as const satisfies Contract

function makeHandlers(onHang: (signal: AbortSignal) => void = () => {}): Handlers<typeof contract> {
  return {
    getVm: ({ params, query }) => ({ vm: params.vm, ...query }),
    createVm: ({ body }) => ({ name: body.name, cpus: body.cpus }),
    deleteVm: () => {},
    heartbeat: (_input, caller) => ({ who: caller.name }),
    health: (_input, caller) => ({ who: caller.name }),
    fail: async ({ body }, _caller, { signal }) => {
      if (body.how === 'known')
        throw new DialtoneError('name-taken', 'There is a web-1.', { detail: { name: 'web-1' } })
      if (body.how === 'unknown') throw new TypeError('the password is hunter2')
      if (body.how === 'secret') return Object.assign({ ok: true }, { tokenHash: 'x' })
      onHang(signal)
      await once(signal, 'abort')
      return { ok: false }
    },
  }
}

const answerSchema = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    next: z.string(),
    retryable: z.boolean(),
    detail: z.object({ fields: z.array(z.object({ field: z.string(), problem: z.string() })) }).optional(),
  }),
})

type Call = {
  readonly method?: string
  readonly body?: string
  readonly type?: string
  readonly headers?: Record<string, string>
}

async function start(context: TestContext, options: Parameters<typeof startService>[2] = {}) {
  const service = await startService(context, [contract, makeHandlers()], options)
  const send = ({ method = 'GET', body, type = 'application/json', headers = {} }: Call, path: string) =>
    fetch(`${service.baseUrl}${path}`, {
      method,
      headers: body === undefined ? headers : { 'content-type': type, ...headers },
      ...(body === undefined ? {} : { body }),
    })
  const refusal = async (call: Call, path: string) => {
    const response = await send(call, path)
    return { status: response.status, headers: response.headers, ...answerSchema.parse(await response.json()).error }
  }
  return { ...service, send, refusal }
}

test('a good call reaches its handler with defaults filled in, and is answered with the status of the table', async (context) => {
  const { send } = await start(context)
  const got = await send({}, '/v1/vms/web-1?force=true')
  assert.deepEqual([got.status, await got.json()], [200, { vm: 'web-1', limit: 5, force: true }])
  const made = await send({ method: 'POST', body: '{"name":"web-1"}' }, '/v1/vms')
  assert.deepEqual([made.status, await made.json()], [202, { name: 'web-1', cpus: 1 }])
  const gone = await send({ method: 'DELETE' }, '/v1/vms/web-1')
  assert.deepEqual([gone.status, await gone.text()], [204, ''])
})

test('all that is wrong with an input is named at once, with what to do next', async (context) => {
  const { refusal } = await start(context)
  const { status, code, message, detail, next, retryable } = await refusal(
    { method: 'POST', body: '{"cpus":"two","disks":[{"sizeMiB":0}]}' },
    '/v1/vms',
  )
  assert.deepEqual([status, code, retryable], [400, 'invalid-input', false])
  assert.deepEqual(
    detail?.fields.map(({ field }) => field),
    ['name', 'cpus', 'disks.0.sizeMiB'],
  )
  assert.match(message, /^The input is not accepted: name: .*; cpus: .*; disks\.0\.sizeMiB: .*\.$/)
  assert.equal(next, 'Correct the named field and send it again.')
  assert.equal((await refusal({}, '/v1/vms/much-too-long')).detail?.fields[0]?.field, 'vm')
  assert.equal((await refusal({}, '/v1/vms/web?limit=many')).detail?.fields[0]?.field, 'limit')
})

test('unknown fields are refused by name, nested ones too, unless peers of other versions are to be understood', async (context) => {
  const { refusal } = await start(context)
  const call = { method: 'POST', body: '{"name":"a","cpu":2,"disks":[{"sizeMiB":1,"fromat":"raw"}]}' }
  const { detail } = await refusal(call, '/v1/vms')
  assert.deepEqual(detail?.fields, [
    { field: 'cpu', problem: 'is not known here' },
    { field: 'disks.0.fromat', problem: 'is not known here' },
  ])
  assert.equal((await refusal({}, '/v1/vms/web?limt=1')).detail?.fields[0]?.field, 'limt')
  assert.equal((await refusal({ method: 'POST', body: '{"x":1}' }, '/v1/heartbeat')).code, 'forbidden')
  const lenient = await start(context, { unknownFields: 'ignore' })
  assert.equal((await lenient.send(call, '/v1/vms')).status, 202)
})

test('what HTTP itself refuses has the same shape and its own status', async (context) => {
  const { refusal, port } = await start(context)
  const post = (body: string, type?: string) =>
    refusal({ method: 'POST', body, ...(type ? { type } : {}) }, '/v1/vms').then(
      ({ status, code }) => `${status} ${code}`,
    )
  assert.equal(await post('{"name":'), '400 invalid-input')
  assert.equal(await post('{"__proto__":{}}'), '400 invalid-input')
  assert.equal(await post('x'.repeat(1024 * 1024 + 1)), '413 invalid-input')
  assert.equal(await post('name: web', 'text/yaml'), '415 invalid-input')
  assert.equal(await post('web', 'text/plain'), '415 invalid-input')
  const unknown = await refusal({}, '/v1/nothing')
  assert.deepEqual(
    [unknown.status, unknown.code, unknown.message],
    [404, 'not-found', 'There is no route GET /v1/nothing.'],
  )
  const wrong = await refusal({ method: 'PUT' }, '/v1/vms/web-1')
  assert.deepEqual([wrong.status, wrong.code, wrong.headers.get('allow')], [405, 'invalid-input', 'GET, HEAD, DELETE'])
  assert.deepEqual((await refusal({}, '/v1/vms/%E0%A4%A')).status, 400)
  const socket = connect(port, '127.0.0.1').end('nonsense\r\n\r\n').setEncoding('utf8')
  const [text] = await once(socket, 'data')
  assert.match(String(text), /^HTTP\/1\.1 400 .*"code":"invalid-input"/s)
})

test('errors of the catalogue are told with their detail; others tell nothing outside and everything to the log', async (context) => {
  const logged: LogFields[] = []
  const logger = {
    info: () => {},
    warn: () => {},
    error: (_event: string, fields: LogFields) => void logged.push(fields),
  }
  const { client, refusal } = await start(context, { server: { logger } })
  const known = client().call('fail', { body: { how: 'known' } })
  await assert.rejects(known, { code: 'name-taken', message: 'There is a web-1.', detail: { name: 'web-1' } })
  const unknown = await refusal({ method: 'POST', body: '{"how":"unknown"}' }, '/v1/fail')
  assert.deepEqual([unknown.status, unknown.code], [500, 'internal'])
  assert.doesNotMatch(JSON.stringify(unknown), /hunter2|\.ts/)
  assert.match(String(logged[0]?.['error']), /hunter2/)
  assert.equal(logged[0]?.['path'], '/v1/fail')
})

test('an answer with more than it promises is found by the tests’ check', async (context) => {
  const { client } = await start(context)
  await assert.rejects(client().call('fail', { body: { how: 'secret' } }), { code: 'internal' })
})

test('each route is open to its role and those above, certificates and users apart', async (context) => {
  const call = {
    viewer: [{}, '/v1/vms/web'],
    operator: [{ method: 'POST', body: '{"name":"a"}' }, '/v1/vms'],
    administrator: [{ method: 'DELETE' }, '/v1/vms/web'],
    host: [{ method: 'POST' }, '/v1/heartbeat'],
    none: [{}, '/v1/health'],
  } as const
  const identify = (request: { headers: Record<string, unknown> }) => {
    const role = request.headers['x-role']
    if (role === undefined) throw new DialtoneError('unauthenticated', 'No token.')
    return { name: 'someone', role: z.enum(['none', 'viewer', 'operator', 'administrator', 'host']).parse(role) }
  }
  const { send, refusal } = await start(context, { identify })
  const statuses = async (role: Role) => {
    const paths: readonly Role[] = ['none', 'viewer', 'operator', 'administrator', 'host']
    const answers = paths.map((path) => send({ ...call[path][0], headers: { 'x-role': role } }, call[path][1]))
    return (await Promise.all(answers)).map(({ status }) => status)
  }
  assert.deepEqual(await statuses('none'), [200, 401, 401, 401, 401])
  assert.deepEqual(await statuses('viewer'), [200, 200, 403, 403, 403])
  assert.deepEqual(await statuses('operator'), [200, 200, 202, 403, 403])
  assert.deepEqual(await statuses('administrator'), [200, 200, 202, 204, 403])
  assert.deepEqual(await statuses('host'), [200, 403, 403, 403, 200])
  assert.deepEqual(await (await send({}, '/v1/health')).json(), { who: 'anonymous' })
  const { status, code, next } = await refusal({}, '/v1/vms/web')
  assert.deepEqual([status, code], [401, 'unauthenticated'])
  assert.match(next, /token/)
})

test('nobody’s body is parsed before it is clear who sends it', async (context) => {
  const identify = () => {
    throw new DialtoneError('unauthenticated', 'No token.')
  }
  const { refusal } = await start(context, { identify })
  assert.equal((await refusal({ method: 'POST', body: '{broken' }, '/v1/vms')).status, 401)
})

test('a caller who goes away aborts the handler’s signal', async (context) => {
  const hanging = Promise.withResolvers<AbortSignal>()
  const { port } = await startService(context, [contract, makeHandlers(hanging.resolve)])
  const headers = { 'content-type': 'application/json' }
  const request = startRequest({ port, host: '127.0.0.1', path: '/v1/fail', method: 'POST', headers })
  request.on('error', () => {})
  request.end('{"how":"hang"}')
  const signal = await hanging.promise
  assert.equal(signal.aborted, false)
  request.destroy()
  if (!signal.aborted) await once(signal, 'abort')
  assert.equal(signal.reason.code, 'cancelled')
})

test('a server that closes waits for requests in flight only for its grace', async (context) => {
  const hanging = Promise.withResolvers<AbortSignal>()
  const handlers = makeHandlers(hanging.resolve)
  const { app, client } = await startService(context, [contract, handlers], { server: { closeGraceMs: 50 } })
  const call = assert.rejects(client().call('fail', { body: { how: 'hang' } }), { code: 'host-unreachable' })
  await hanging.promise
  const start = performance.now()
  await app.close()
  assert.ok(performance.now() - start < 10_000)
  await call
})
