/**
 * Asks the installed QEMU what its machine protocol looks like and writes `qmp-types.ts`: run `node generate-qmp-types.ts [BINARY]`
 * after a change of QEMU's version or of the lists below. Options of block drivers and devices stay open (`JsonValue`): QEMU checks them.
 */
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { z } from 'zod'

const commands = [
  ...[
    'qmp_capabilities',
    'query-version',
    'query-status',
    'query-name',
    'query-uuid',
    'query-machines',
    'query-cpu-definitions',
  ],
  ...['query-cpus-fast', 'query-hotpluggable-cpus', 'query-memory-size-summary', 'query-memory-devices', 'query-block'],
  ...[
    'query-named-block-nodes',
    'query-blockstats',
    'query-block-jobs',
    'query-jobs',
    'query-migrate',
    'query-pci',
    'query-rx-filter',
  ],
  ...['query-migrate-capabilities', 'query-migrate-parameters', 'query-balloon', 'query-chardev', 'query-iothreads'],
  ...['stop', 'cont', 'quit', 'system_reset', 'system_powerdown', 'balloon', 'set_link', 'announce-self', 'inject-nmi'],
  ...[
    'device_add',
    'device_del',
    'object-add',
    'object-del',
    'netdev_add',
    'netdev_del',
    'chardev-add',
    'chardev-remove',
  ],
  ...[
    'blockdev-add',
    'blockdev-del',
    'blockdev-reopen',
    'blockdev-snapshot',
    'blockdev-create',
    'blockdev-mirror',
    'blockdev-backup',
  ],
  ...[
    'block-stream',
    'block-commit',
    'block_resize',
    'block_set_io_throttle',
    'block-job-cancel',
    'block-job-complete',
  ],
  ...['block-job-set-speed', 'job-cancel', 'job-complete', 'job-dismiss', 'job-finalize', 'transaction'],
  ...['block-export-add', 'block-export-del', 'nbd-server-start', 'nbd-server-stop', 'block-dirty-bitmap-add'],
  ...['migrate', 'migrate-incoming', 'migrate_cancel', 'migrate-continue', 'migrate-start-postcopy', 'migrate-pause'],
  ...[
    'migrate-set-capabilities',
    'migrate-set-parameters',
    'getfd',
    'closefd',
    'add-fd',
    'remove-fd',
    'qom-get',
    'qom-set',
    'qom-list',
  ],
  ...['blockdev-open-tray', 'blockdev-close-tray', 'blockdev-insert-medium', 'blockdev-remove-medium'],
  ...['human-monitor-command', 'set-action', 'watchdog-set-action', 'pmemsave'],
]

const events = [
  ...[
    'SHUTDOWN',
    'POWERDOWN',
    'RESET',
    'STOP',
    'RESUME',
    'SUSPEND',
    'WAKEUP',
    'GUEST_PANICKED',
    'WATCHDOG',
    'BLOCK_IO_ERROR',
  ],
  ...[
    'BLOCK_IMAGE_CORRUPTED',
    'BLOCK_JOB_READY',
    'BLOCK_JOB_COMPLETED',
    'BLOCK_JOB_CANCELLED',
    'BLOCK_JOB_ERROR',
    'JOB_STATUS_CHANGE',
  ],
  ...[
    'DEVICE_DELETED',
    'DEVICE_UNPLUG_GUEST_ERROR',
    'MIGRATION',
    'MIGRATION_PASS',
    'NIC_RX_FILTER_CHANGED',
    'BALLOON_CHANGE',
  ],
  ...['VSERPORT_CHANGE', 'MEMORY_DEVICE_SIZE_CHANGE', 'BLOCK_EXPORT_DELETED'],
]

/** Below this depth a value is left open: the type would be longer than it is useful. */
const maximumDepth = 3

/** Takes the properties of any device beside its declared members, which the schema does not say. */
const takesAnyProperty = 'device_add'

const entitySchema = z.discriminatedUnion('meta-type', [
  z.object({ 'meta-type': z.literal('builtin'), name: z.string(), 'json-type': z.string() }),
  z.object({ 'meta-type': z.literal('enum'), name: z.string(), values: z.array(z.string()) }),
  z.object({ 'meta-type': z.literal('array'), name: z.string(), 'element-type': z.string() }),
  z.object({
    'meta-type': z.literal('object'),
    name: z.string(),
    members: z.array(z.object({ name: z.string(), type: z.string(), default: z.null().optional() })),
    variants: z.array(z.object({ case: z.string(), type: z.string() })).optional(),
  }),
  z.object({ 'meta-type': z.literal('alternate'), name: z.string(), members: z.array(z.object({ type: z.string() })) }),
  z.object({ 'meta-type': z.literal('command'), name: z.string(), 'arg-type': z.string(), 'ret-type': z.string() }),
  z.object({ 'meta-type': z.literal('event'), name: z.string(), 'arg-type': z.string() }),
])
type Entity = z.infer<typeof entitySchema>
type ObjectEntity = Extract<Entity, { 'meta-type': 'object' }>

const builtinTypes: Readonly<Record<string, string>> = {
  string: 'string',
  int: 'number',
  number: 'number',
  boolean: 'boolean',
  null: 'null',
  value: 'JsonValue',
}

const { version, schema } = await askQemu(process.argv[2] ?? 'qemu-system-x86_64')
await writeFile(new URL('qmp-types.ts', import.meta.url), renderTypes(version, schema))

async function askQemu(binary: string): Promise<{ version: string; schema: ReadonlyMap<string, Entity> }> {
  const qemu = spawn(binary, ['-machine', 'none', '-nodefaults', '-display', 'none', '-qmp', 'stdio'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: 10_000,
  })
  qemu.stdin.end('{"execute":"qmp_capabilities"}\n{"execute":"query-qmp-schema","id":"schema"}\n{"execute":"quit"}\n')
  let version = ''
  const schema = new Map<string, Entity>()
  for await (const line of createInterface({ input: qemu.stdout })) {
    const message: unknown = JSON.parse(line)
    const greeting = z.object({ QMP: z.object({ version: z.object({ qemu: z.record(z.string(), z.number()) }) }) })
    const greeted = greeting.safeParse(message)
    if (greeted.success) {
      const { major, minor, micro } = greeted.data.QMP.version.qemu
      version = `${major}.${minor}.${micro}`
    }
    const answer = z.object({ id: z.literal('schema'), return: z.array(entitySchema) }).safeParse(message)
    for (const entity of answer.data?.return ?? []) schema.set(entity.name, entity)
  }
  if (schema.size === 0) throw new Error(`${binary} did not tell its schema`)
  return { version, schema }
}

function renderTypes(version: string, schema: ReadonlyMap<string, Entity>): string {
  const entityOf = (name: string): Entity => {
    const entity = schema.get(name)
    if (entity === undefined) throw new Error(`QEMU ${version} has no ${name}`)
    return entity
  }
  const typeOf = (name: string, depth: number): string => renderType(entityOf(name), depth, typeOf)
  const lines = commands.toSorted().map((name) => {
    const entity = entityOf(name)
    if (entity['meta-type'] !== 'command') throw new Error(`${name} is no command`)
    const args = typeOf(entity['arg-type'], 0)
    const open = name === takesAnyProperty ? ' & { readonly [property: string]: JsonValue | undefined }' : ''
    return `  '${name}': { arguments: ${args}${open}; returns: ${typeOf(entity['ret-type'], 0)} }`
  })
  const eventLines = events.toSorted().map((name) => {
    const entity = entityOf(name)
    if (entity['meta-type'] !== 'event') throw new Error(`${name} is no event`)
    return `  ${name}: ${typeOf(entity['arg-type'], 0)}`
  })
  return [
    `// biome-ignore-all format: generated by generate-qmp-types.ts from QEMU ${version}, one line for each command and event.`,
    '/** Part of the protocol of QEMU as it declares it itself (`query-qmp-schema`). Do not edit: generate it anew. */',
    `export const qmpTypesVersion = '${version}'`,
    '',
    'export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue | undefined }',
    '',
    'type Empty = Readonly<Record<string, never>>',
    '',
    'export type QmpCommands = {',
    ...lines,
    '}',
    '',
    'export type QmpEvents = {',
    ...eventLines,
    '}',
    '',
  ].join('\n')
}

type TypeOf = (name: string, depth: number) => string

function renderType(entity: Entity, depth: number, typeOf: TypeOf): string {
  switch (entity['meta-type']) {
    case 'builtin':
      return builtinTypes[entity['json-type']] ?? 'JsonValue'
    case 'enum':
      return entity.values.length > 40 ? 'string' : entity.values.map((value) => `'${value}'`).join(' | ')
    case 'array':
      return `readonly (${typeOf(entity['element-type'], depth)})[]`
    case 'alternate':
      return [...new Set(entity.members.map((member) => typeOf(member.type, depth)))].join(' | ')
    case 'object':
      return renderObject(entity, depth, typeOf)
    case 'command':
    case 'event':
      throw new Error(`${entity.name} is not a type`)
  }
}

function renderObject(entity: ObjectEntity, depth: number, typeOf: TypeOf): string {
  if (depth >= maximumDepth) return 'JsonValue'
  const members = entity.members.map((member) => renderMember(member, depth, typeOf))
  if (entity.variants !== undefined) members.push('readonly [option: string]: JsonValue | undefined')
  return members.length === 0 ? 'Empty' : `{ ${members.join('; ')} }`
}

function renderMember(member: ObjectEntity['members'][number], depth: number, typeOf: TypeOf): string {
  const isOptional = member.default === null
  const name = /^[a-z_][a-z0-9_]*$/i.test(member.name) ? member.name : `'${member.name}'`
  return `readonly ${name}${isOptional ? '?' : ''}: ${typeOf(member.type, depth + 1)}${isOptional ? ' | undefined' : ''}`
}
