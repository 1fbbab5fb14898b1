/** Where everything is. A machine is dragged to another host, and each host says what the planner thinks of it. */
import { Menu, Text } from '@mantine/core'
import { type DragEvent, useState } from 'react'
import type { PlacementView } from '../../model/api/placement-routes.ts'
import type { HostView, VmView } from '../../model/api/views.ts'
import { formatSize } from '../../model/byte-size.ts'
import { usageOf } from '../cloud/cloud-state.ts'
import { useCloud, useConsole } from '../cloud/console-context.ts'
import { useAct } from '../cloud/use-act.ts'
import { Foreign, PageHead, StateBadge } from '../components/parts.tsx'
import { type HostVerdict, verdictOn } from '../logic/host-verdict.ts'
import { lookOf } from '../logic/state-look.ts'
import { obstacleTo } from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'

type Dragged = { readonly vm: VmView; readonly placement: PlacementView | null }

export function TopologyPage() {
  const state = useCloud()
  const { client } = useConsole()
  const act = useAct()
  const [dragged, setDragged] = useState<Dragged | null>(null)
  const hosts = [...state.hosts.values()].sort((left, right) => left.number - right.number)
  const homeless = [...state.vms.values()].filter(({ placement }) => placement === null)
  const shared = [...state.storages.values()].filter((storage) => storage.shared)

  const take = (vm: VmView) => {
    setDragged({ vm, placement: null })
    client.call('getVmPlacement', { params: { vm: vm.id } }).then(
      (placement) => setDragged((now) => (now?.vm.id === vm.id ? { vm, placement } : now)),
      () => undefined,
    )
  }
  const move = (vm: VmView, host: string) => {
    setDragged(null)
    void act(`${texts.actions['migrate-to']} ${host}: ${vm.name}`, (one) =>
      one.call('migrateVm', { params: { vm: vm.id }, body: { host } }),
    )
  }

  return (
    <>
      <PageHead title={texts.pages.topology} />
      <Text mb="md" className="quiet">
        {texts.topology.hint}
      </Text>
      <div className="topology">
        {hosts.map((host) => (
          <HostColumn
            key={host.id}
            host={host}
            dragged={dragged}
            onTake={take}
            onLeave={() => setDragged(null)}
            onMove={move}
          />
        ))}
      </div>
      {homeless.length === 0 ? null : (
        <section className="host-column" aria-label={texts.topology.nowhere}>
          <h2>{texts.topology.nowhere}</h2>
          <div className="chips">
            {homeless.map((vm) => (
              <MachineChip
                key={vm.id}
                vm={vm}
                onTake={take}
                onLeave={() => setDragged(null)}
                onMove={move}
                dragged={dragged}
              />
            ))}
          </div>
        </section>
      )}
      {shared.map((storage) => (
        <div key={storage.id} className="shared-bar">
          {texts.topology.shared}: <strong>{storage.name}</strong> ({storage.volumes})
        </div>
      ))}
    </>
  )
}

type Moving = {
  readonly dragged: Dragged | null
  readonly onTake: (vm: VmView) => void
  readonly onLeave: () => void
  readonly onMove: (vm: VmView, host: string) => void
}

function HostColumn({ host, ...moving }: { readonly host: HostView } & Moving) {
  const state = useCloud()
  const { dragged, onMove } = moving
  const usage = usageOf(state, host)
  const verdict = dragged === null ? null : verdictOn(host, dragged.vm, dragged.placement)
  const over = (event: DragEvent) => {
    if (verdict?.kind === 'fits') event.preventDefault()
  }
  const drop = (event: DragEvent) => {
    event.preventDefault()
    if (dragged !== null && verdict?.kind === 'fits') onMove(dragged.vm, host.name)
  }
  return (
    <section
      className={`host-column verdict-${verdict?.kind ?? 'none'}`}
      aria-label={host.name}
      data-host={host.name}
      onDragOver={over}
      onDrop={drop}
    >
      <h2>
        {host.name} <StateBadge state={host.status.state} />
      </h2>
      <div className="quiet">
        {formatSize(usage.memoryMiB)} / {formatSize(host.status.memoryMiB)}
      </div>
      {verdict === null ? null : <Verdict verdict={verdict} />}
      <div className="chips">
        {usage.vms.map((vm) => (
          <MachineChip key={vm.id} vm={vm} {...moving} />
        ))}
        {usage.vms.length === 0 ? <span className="quiet">{texts.topology.empty}</span> : null}
      </div>
    </section>
  )
}

function Verdict({ verdict }: { readonly verdict: HostVerdict }) {
  const signs = { asking: '…', here: '○', fits: '✓', 'does-not-fit': '✕' } as const
  return (
    <div className="verdict">
      <span aria-hidden="true">{signs[verdict.kind]}</span> <Foreign text={verdict.reason} />
    </div>
  )
}

function MachineChip({ vm, dragged, onTake, onLeave, onMove }: { readonly vm: VmView } & Moving) {
  const { hosts } = useCloud()
  const { signedIn } = useConsole()
  const obstacle = obstacleTo('migrate', vm, signedIn.role)
  const { tone, sign } = lookOf(vm.status.state)
  const placement = dragged?.vm.id === vm.id ? dragged.placement : null
  return (
    <Menu onOpen={() => onTake(vm)} onClose={onLeave} position="bottom-start" withinPortal>
      <Menu.Target>
        <button
          type="button"
          className={`chip chip-${tone}`}
          draggable={obstacle === null}
          data-vm={vm.name}
          onDragStart={() => onTake(vm)}
          onDragEnd={onLeave}
          title={obstacle ?? vm.status.state}
        >
          <span aria-hidden="true">{sign}</span> {vm.name}
          <span className="unseen">, {vm.status.state}</span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label className="menu-label">{obstacle ?? texts.topology.moveTitle(vm.name)}</Menu.Label>
        {[...hosts.values()].map((host) => {
          const verdict = verdictOn(host, vm, placement)
          return (
            <Menu.Item
              key={host.id}
              disabled={obstacle !== null || verdict.kind !== 'fits'}
              onClick={() => onMove(vm, host.name)}
            >
              <strong>{host.name}</strong> <span className="menu-reason">{verdict.reason}</span>
            </Menu.Item>
          )
        })}
      </Menu.Dropdown>
    </Menu>
  )
}
