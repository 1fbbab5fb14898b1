/** A machine that recovers from memory on a host in memory, and what an operator would look at. */
import { sharedId } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { LayerId } from '../../model/ids.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import type { Probe } from '../../model/recovery/probe.ts'
import type { RecoveryRecord } from '../../model/recovery/recovery-record.ts'
import type { FakeOrder } from '../hypervisor/fake/fake-world.ts'
import { createMachineHost, dataId, type MachineHost, rootId, webId } from '../machines/machine-host.fixture.ts'

export const probe: Probe = {
  check: { kind: 'http', port: 80, path: '/', status: 200 },
  everyMs: 250,
  maxLatencyMs: 1_000,
  failuresAllowed: 4,
}
export const root = { volumeId: rootId, storageId: sharedId, format: 'qcow2' } as const
export const data = { volumeId: dataId, storageId: sharedId, format: 'qcow2' } as const

/** A machine that may run here only, and is watched. */
export const warm = { leased: false, recovery: { mode: 'warm' }, probe } as const satisfies Partial<MachineOrder>

/** It serves, its image is captured, and a process waits to take it over. */
export async function startReady(
  changes: Partial<MachineOrder> = warm,
  prepare: (host: MachineHost) => void = () => undefined,
): Promise<MachineHost> {
  const host = await createMachineHost()
  prepare(host)
  await host.start(1, changes)
  await host.clock.advance(5_000)
  return host
}

export function recoveryOf(host: MachineHost) {
  const report = host.report()
  if (report === undefined) throw new Error('it is not held here')
  return report.recovery
}

export async function currentLayer(host: MachineHost, volumeId = rootId): Promise<LayerId | null | undefined> {
  return (await host.storage.listLayers(volumeId)).find(({ isCurrent }) => isCurrent)?.layerId
}

/** The layers that a disk consists of, from the one that is written to down to the first. */
export async function chainOf(host: MachineHost, from?: LayerId | null): Promise<readonly (LayerId | null)[]> {
  const layers = await host.storage.listLayers(rootId)
  const chain: (LayerId | null)[] = []
  const top = from === undefined ? await currentLayer(host) : from
  for (let id = top; id !== undefined; id = layers.find(({ layerId }) => layerId === id)?.on) chain.push(id)
  return chain
}

export async function layerCount(host: MachineHost): Promise<number> {
  return (await host.storage.listLayers(rootId)).length
}

export function journalOf<Kind extends RecoveryRecord['kind']>(host: MachineHost, kind: Kind) {
  return host.journal.filter((record): record is Extract<RecoveryRecord, { kind: Kind }> => record.kind === kind)
}

export const rungsOf = (host: MachineHost) => journalOf(host, 'rung-begun').map(({ rung }) => rung)

/** Makes orders to the hypervisor fail while this says so. */
export function failWhen(host: MachineHost, isFailing: (order: FakeOrder) => boolean): void {
  host.world.failOrders((order) =>
    isFailing(order) ? new DialtoneError('hypervisor-failed', `${order.kind} failed`) : undefined,
  )
}

export const keeperOf = (host: MachineHost) => {
  const keeper = host.room.keeper(webId)
  if (keeper === undefined) throw new Error('it is not held here')
  return keeper
}

/** What the hypervisor writes the root disk to now. */
export function writtenPath(host: MachineHost): string | undefined {
  return host.living()?.layers.get(rootId)?.[0]
}

/** What recoveries have put aside of the root disk. */
export async function replacedLayers(host: MachineHost): Promise<readonly (LayerId | null)[]> {
  return (await host.storage.listLayers(rootId))
    .filter(({ replacedAt }) => replacedAt !== null)
    .map(({ layerId }) => layerId)
}

/** Run directories, taps and layers that no living process and no image needs. */
export async function leftOvers(host: MachineHost): Promise<readonly string[]> {
  const living = [host.living()?.definition, ...host.spares().map(({ shape }) => shape)].filter(
    (one) => one !== undefined,
  )
  const isUsed = (name: string) => living.some(({ runDirectory }) => runDirectory.endsWith(`/${name}`))
  const taps = new Set(living.map(({ tapName }) => tapName))
  return [
    ...[...host.files.processes.keys()].filter((name) => !isUsed(name)).map((name) => `process ${name}`),
    ...(await host.network.listTaps()).filter((tap) => !taps.has(tap)).map((tap) => `tap ${tap}`),
    ...(await unusedLayers(host)),
  ]
}

async function unusedLayers(host: MachineHost): Promise<readonly string[]> {
  const layers = await host.storage.listLayers(rootId)
  const used = new Set<LayerId | null | undefined>(await chainOf(host))
  for (const { disks } of await host.storage.listImages(rootId))
    for (const { layerId } of disks) for (const id of await chainOf(host, layerId)) used.add(id)
  for (const { shape } of host.spares())
    for (const { path } of shape.disks)
      for (const { layerId } of layers) if (layerId !== null && path.includes(layerId)) used.add(layerId)
  for (const { layerId, replacedAt } of layers)
    if (replacedAt !== null) for (const id of await chainOf(host, layerId)) used.add(id)
  return layers.filter(({ layerId }) => !used.has(layerId)).map(({ layerId }) => `layer ${layerId}`)
}
