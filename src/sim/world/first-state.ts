/** What is in the store of a simulated world when its first controller starts: the cluster, its hosts, storages, network and a template. */
import { put } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { ClusterSpec, NetworkSpec, TemplateSpec } from '../../model/cluster.ts'
import type { HostSpec } from '../../model/host.ts'
import { hostIdSchema, makeId, nameSchema, storageIdSchema, templateIdSchema } from '../../model/ids.ts'
import type { StorageSpec } from '../../model/storage.ts'
import { defaultTimings, timingsSchema } from '../../model/timings.ts'
import type { Write } from '../../store/store.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { WorldConfiguration } from './configuration.ts'

export type FirstState = {
  readonly cluster: ClusterSpec
  readonly hosts: readonly HostSpec[]
  readonly storages: readonly StorageSpec[]
  readonly writes: readonly Write[]
}

const network: NetworkSpec = {
  subnet: '10.0.0.0/24',
  gateway: '10.0.0.1',
  addressFrom: '10.0.0.10',
  addressTo: '10.0.0.250',
}

export function makeFirstState(configuration: WorldConfiguration, random: SeededRandom): FirstState {
  const createdAt = new Date(configuration.beginsAtWallMs).toISOString()
  const cluster: ClusterSpec = {
    id: '00000000-0000-4000-8000-000000000001',
    name: nameSchema.parse('simulated'),
    createdAt,
    timings: timingsSchema.parse({ ...defaultTimings, ...configuration.timings }),
    formerTimings: null,
    hostFailuresToTolerate: configuration.hostFailuresToTolerate,
  }
  const hosts = configuration.hosts.map(
    ({ name, powerFence }, index): HostSpec => ({
      id: makeId('host', hostIdSchema, random.bytes(8)),
      name,
      number: index + 1,
      address: `192.0.2.${(index % 250) + 1}`,
      port: 7001,
      joinedAt: createdAt,
      fence: powerFence ? { agent: 'fence_simulated', parameters: {} } : null,
      labels: {},
      maintenance: null,
    }),
  )
  const storageOf = (name: string, hostId: HostSpec['id'] | null): StorageSpec => ({
    id: makeId('st', storageIdSchema, random.bytes(8)),
    name,
    kind: 'directory',
    path: `/srv/${name}`,
    shared: hostId === null,
    hostId,
    createdAt,
  })
  const storages = [
    ...configuration.storages.map(({ name }) => storageOf(name, null)),
    ...hosts.map(({ id }) => storageOf('local', id)),
  ]
  const template = tinyTemplate(random, createdAt)
  return {
    cluster,
    hosts,
    storages,
    writes: [
      put(keys.cluster, cluster),
      put(keys.network, network),
      put(keys.template(template.id), template),
      ...storages.map((storage) => put(keys.storage(storage.id), storage)),
      ...hosts.flatMap((spec) => [
        put(keys.host(spec.id), spec),
        put(keys.nameClaim('host', spec.name), spec.id),
        put(keys.numberClaim('host', spec.number), spec.id),
      ]),
    ],
  }
}

function tinyTemplate(random: SeededRandom, builtAt: string): TemplateSpec {
  return {
    id: makeId('tpl', templateIdSchema, random.bytes(8)),
    name: 'tiny',
    version: 'tiny-1',
    description: 'a small guest',
    boot: 'kernel',
    os: 'linux',
    guest: null,
    ports: [80],
    origin: 'recipe',
    madeFrom: null,
    kernelVersion: '6.1',
    commandLine: '',
    commandLineTcg: '',
    minimumMemoryMiB: 64,
    defaultMemoryMiB: 128,
    defaultCpus: 1,
    rootDiskMiB: 100,
    canResume: true,
    readiness: { kind: 'http', port: 80, path: '/health', status: 200, body: 'ok' },
    warm: null,
    builtAt,
    directory: '/srv/templates/tiny-1',
  }
}
