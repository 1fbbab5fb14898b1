/** All machines: searched, filtered, sorted, and changed by the dozen. Only the rows that are seen are drawn. */
import { Checkbox, Group, NativeSelect, TextInput } from '@mantine/core'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useMemo, useRef, useState } from 'react'
import type { VmView } from '../../model/api/views.ts'
import { formatSize } from '../../model/byte-size.ts'
import { vmStateSchema } from '../../model/vm.ts'
import { useCloud } from '../cloud/console-context.ts'
import { BulkActions } from '../components/bulk-actions.tsx'
import { Nothing, PageHead, StateBadge } from '../components/parts.tsx'
import { type MachineSearch, type machineColumns, selectMachines } from '../logic/machine-list.ts'
import { texts } from '../texts.ts'

const route = getRouteApi('/machines')
const rowHeight = 44

export function MachinesPage() {
  const { vms } = useCloud()
  const search = route.useSearch()
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const shown = useMemo(() => selectMachines(vms.values(), search), [vms, search])
  const chosen = shown.filter(({ name }) => selected.has(name))
  const toggle = (names: readonly string[], isOn: boolean) => {
    const next = new Set(selected)
    for (const name of names) {
      if (isOn) next.add(name)
      else next.delete(name)
    }
    setSelected(next)
  }
  return (
    <>
      <PageHead title={texts.pages.machines}>
        <span role="status">{texts.machines.count(shown.length, vms.size)}</span>
      </PageHead>
      <Filters search={search} />
      <BulkActions chosen={chosen} onDone={() => setSelected(new Set())} />
      {shown.length === 0 ? (
        <Nothing>{vms.size === 0 ? texts.machines.noneYet : texts.machines.none}</Nothing>
      ) : (
        <Table shown={shown} selected={selected} onToggle={toggle} search={search} />
      )}
    </>
  )
}

function Filters({ search }: { readonly search: MachineSearch }) {
  const { hosts } = useCloud()
  const navigate = route.useNavigate()
  const filter = (changes: MachineSearch) =>
    void navigate({ search: (before) => ({ ...before, ...changes }), replace: true })
  return (
    <Group gap="sm" mb="sm" className="filters">
      <TextInput
        aria-label={texts.machines.search}
        placeholder={texts.machines.search}
        value={search.q ?? ''}
        onChange={(event) => filter({ q: event.currentTarget.value || undefined })}
        className="filter-search"
      />
      <NativeSelect
        aria-label={texts.columns.state}
        value={search.state ?? ''}
        onChange={(event) => filter({ state: event.currentTarget.value || undefined })}
        data={[{ value: '', label: texts.machines.anyState }, ...vmStateSchema.options]}
      />
      <NativeSelect
        aria-label={texts.columns.host}
        value={search.host ?? ''}
        onChange={(event) => filter({ host: event.currentTarget.value || undefined })}
        data={[{ value: '', label: texts.machines.anyHost }, ...[...hosts.values()].map(({ name }) => name)]}
      />
      <Checkbox
        label={texts.machines.onlyHa}
        checked={search.ha === true}
        onChange={(event) => filter({ ha: event.currentTarget.checked || undefined })}
      />
    </Group>
  )
}

type TableProps = {
  readonly shown: readonly VmView[]
  readonly selected: ReadonlySet<string>
  readonly onToggle: (names: readonly string[], isOn: boolean) => void
  readonly search: MachineSearch
}

function Table({ shown, selected, onToggle, search }: TableProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const rows = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 8,
  })
  const isAll = shown.every(({ name }) => selected.has(name))
  return (
    <div
      ref={scroller}
      className="machine-table"
      role="table"
      aria-label={texts.pages.machines}
      aria-rowcount={shown.length + 1}
      tabIndex={0}
    >
      <div role="rowgroup" className="machine-head">
        <div role="row" className="machine-row" aria-rowindex={1}>
          <div role="columnheader" className="cell-select">
            <Checkbox
              aria-label={texts.machines.selectAll}
              checked={isAll}
              onChange={(event) =>
                onToggle(
                  shown.map(({ name }) => name),
                  event.currentTarget.checked,
                )
              }
            />
          </div>
          {(['name', 'state', 'host', 'address', 'cpus', 'memory', 'recovery'] as const).map((column) => (
            <ColumnHead key={column} column={column} search={search} />
          ))}
          <div role="columnheader" className="cell-ha">
            {texts.columns.ha}
          </div>
        </div>
      </div>
      <div role="rowgroup" className="machine-body" style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map(({ index, start }) => {
          const vm = shown[index]
          return vm === undefined ? null : (
            <div
              key={vm.id}
              role="row"
              aria-rowindex={index + 2}
              className="machine-row machine-item"
              style={{ transform: `translateY(${start}px)`, height: rowHeight }}
            >
              <Row vm={vm} isSelected={selected.has(vm.name)} onToggle={onToggle} />
            </div>
          )
        })}
      </div>
    </div>
  )
}

function ColumnHead({
  column,
  search,
}: {
  readonly column: (typeof machineColumns)[number]
  readonly search: MachineSearch
}) {
  const isSorted = (search.sort ?? 'name') === column
  const isDown = isSorted && search.down === true
  const order = isDown ? 'descending' : 'ascending'
  return (
    <div role="columnheader" aria-sort={isSorted ? order : 'none'} className={`cell-${column}`}>
      <Link
        from="/machines"
        to="/machines"
        search={(before) => ({ ...before, sort: column, down: isSorted && !isDown ? true : undefined })}
        className="column-head"
        aria-label={texts.machines.sortBy(texts.columns[column])}
      >
        {texts.columns[column]}
        <span aria-hidden="true">{isSorted ? (isDown ? ' ▾' : ' ▴') : ''}</span>
      </Link>
    </div>
  )
}

type RowProps = { readonly vm: VmView; readonly isSelected: boolean; readonly onToggle: TableProps['onToggle'] }

function Row({ vm, isSelected, onToggle }: RowProps) {
  return (
    <>
      <div role="cell" className="cell-select">
        <Checkbox
          aria-label={texts.machines.select(vm.name)}
          checked={isSelected}
          onChange={(event) => onToggle([vm.name], event.currentTarget.checked)}
        />
      </div>
      <div role="cell" className="cell-name">
        <Link to="/machines/$name" params={{ name: vm.name }} className="strong-link">
          {vm.name}
        </Link>
      </div>
      <div role="cell" className="cell-state">
        <StateBadge state={vm.status.state} />
      </div>
      <div role="cell" className="cell-host">
        {vm.hostName ?? '–'}
      </div>
      <div role="cell" className="cell-address">
        {vm.address}
      </div>
      <div role="cell" className="cell-cpus">
        {vm.cpus}
      </div>
      <div role="cell" className="cell-memory">
        {formatSize(vm.memoryMiB)}
      </div>
      <div role="cell" className="cell-recovery">
        {vm.recovery.mode}
      </div>
      <div role="cell" className="cell-ha">
        {vm.ha ? texts.state.yes : texts.state.no}
      </div>
    </>
  )
}
