import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sharedId, vmIdOf, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import { flatNetworkId } from '../../model/ids.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import { type MachineHost, rootId } from '../machines/machine-host.fixture.ts'
import { networkOf } from '../network/network.contract.ts'
import { keeperOf, startReady } from './recovering-machine.fixture.ts'

const cloneId = vmIdOf('clone')
const cloneRoot = volumeIdOf('cloneroot')

/** A machine whose image clones begin with, and the order for one of them. */
async function withOrigin(): Promise<{ readonly host: MachineHost; readonly order: Partial<MachineOrder> }> {
  const host = await startReady({ leased: false })
  const { id } = await keeperOf(host).capture('template')
  await host.storage.createVolume({
    volumeId: cloneRoot,
    format: 'qcow2',
    sizeMiB: 64,
    base: { version: id, path: undefined },
    cgroupDirectory: '/tools',
  })
  const order: Partial<MachineOrder> = {
    vmId: cloneId,
    name: 'clone',
    number: 8,
    nic: { macAddress: '52:54:00:00:00:08', address: '10.0.0.8', address6: null, networkId: flatNetworkId, mtu: null },
    disks: [{ volumeId: cloneRoot, storageId: sharedId, format: 'qcow2' }],
    leased: false,
    start: 'clone',
    clonedFrom: { imageId: id, volumeId: rootId, storageId: sharedId },
  }
  return { host, order }
}

const reportOf = (host: MachineHost) => host.room.reports().find(({ vmId }) => vmId === cloneId)

describe('a clone', () => {
  test('has its own identity before its card is in a network and its link is up', async () => {
    const { host, order } = await withOrigin()
    const seen: string[] = []
    const { guests } = host.world
    host.world.guests = {
      ...guests,
      resident(machine, request) {
        if (request.do === 'become') {
          const { tapName } = machine.definition
          seen.push(`${request.name} ${request.address} ${request.macAddress}`)
          seen.push(`link ${machine.isLinkUp}, plugged ${host.network.pluggedTaps().includes(tapName)}`)
        }
        return guests.resident(machine, request)
      },
    }
    await host.start(1, order)
    assert.deepEqual(seen, ['clone 10.0.0.8 52:54:00:00:00:08', 'link false, plugged false'])
    const clone = host.living(cloneId)
    assert.equal(clone?.state, 'running')
    assert.equal(clone?.isLinkUp, true)
    assert.equal(host.network.pluggedTaps().includes(clone?.definition.tapName ?? ''), true)
    assert.equal(reportOf(host)?.recovery.startedBy, 'clone')
  })

  test('is told the router and the size of its own network, which may be another than the hosts’', async () => {
    const { host, order } = await withOrigin()
    const network = { ...networkOf(1), subnet: '10.90.0.0/20', uplink: 'nat' as const }
    await host.network.configure([network])
    const { guests } = host.world
    const seen: unknown[] = []
    host.world.guests = {
      ...guests,
      resident(machine, request) {
        if (request.do === 'become') seen.push([request.prefixLength, request.gateway])
        return guests.resident(machine, request)
      },
    }
    assert(order.nic !== undefined)
    await host.start(1, { ...order, nic: { ...order.nic, networkId: network.networkId } })
    assert.deepEqual(seen, [[20, '10.90.0.1']])
  })

  test('whose guest is silent has failed: it is ended, and never booted', async () => {
    const { host, order } = await withOrigin()
    host.world.guests = { ...host.world.guests, resident: () => 'silent' }
    await host.start(1, order)
    await host.clock.advance(120_000)
    assert.equal(reportOf(host)?.phase, 'failed')
    assert.match(reportOf(host)?.detail ?? '', /did not take its new identity/)
    assert.equal(host.living(cloneId), undefined)
    assert.equal(host.history.filter((entry) => entry.startsWith('start ')).length, 1, 'that of its origin')
    assert.equal((await host.network.listTaps()).length, 1)
    assert.deepEqual(
      [...host.files.processes.keys()].filter((name) => name.startsWith(cloneId)),
      [],
    )
  })

  test('whose image is gone has failed, with that reason', async () => {
    const { host, order } = await withOrigin()
    const { clonedFrom } = order
    assert.ok(clonedFrom)
    await host.storage.removeImage(rootId, clonedFrom.imageId)
    await host.start(1, order)
    assert.equal(reportOf(host)?.phase, 'failed')
    assert.match(reportOf(host)?.detail ?? '', /is gone/)
  })

  test('opens its disk only after it has claimed it, and not at all when another host owns it', async () => {
    const { host, order } = await withOrigin()
    await host.storage.claimVolume(cloneRoot, { hostName: 'bob', life: { vmId: cloneId, epoch: 5, incarnation: 0 } })
    await host.start(1, order)
    await host.clock.advance(1_000)
    assert.equal(reportOf(host)?.phase, 'failed')
    assert.equal([...host.world.spares.values()].filter(({ shape }) => shape.vmId === cloneId).length, 0)
  })
})
