import { useCloud } from '../cloud/console-context.ts'
import { Card, Nothing, PageHead, ScrollTable } from '../components/parts.tsx'
import { formatFigure } from '../logic/figure-charts.ts'
import { leastFreeMiB } from '../logic/storage-room.ts'
import { texts } from '../texts.ts'

/** Where disks are, and how much room is left there. */
export function StoragePage() {
  const { storages, hosts } = useCloud()
  const shown = [...storages.values()].sort(
    (left, right) =>
      Number(right.shared) - Number(left.shared) ||
      (left.hostName ?? '').localeCompare(right.hostName ?? '', 'en', { numeric: true }),
  )
  return (
    <>
      <PageHead title={texts.pages.storage} />
      <Card title={texts.pages.storage}>
        {shown.length === 0 ? <Nothing>{texts.storage.none}</Nothing> : null}
        <ScrollTable>
          <thead>
            <tr>
              <th scope="col">{texts.columns.name}</th>
              <th scope="col">{texts.storage.kind}</th>
              <th scope="col">{texts.storage.path}</th>
              <th scope="col">{texts.storage.volumes}</th>
              <th scope="col">{texts.storage.free}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((storage) => {
              const free = leastFreeMiB(storage.id, hosts.values())
              return (
                <tr key={storage.id}>
                  <th scope="row">{storage.name}</th>
                  <td>
                    {storage.kind},{' '}
                    {storage.shared ? texts.storage.shared : texts.storage.local(storage.hostName ?? '–')}
                  </td>
                  <td>
                    <code>{storage.path}</code>
                  </td>
                  <td className="figures">{storage.volumes}</td>
                  <td className="figures">{free === null ? '–' : formatFigure('memoryMiB', free)}</td>
                </tr>
              )
            })}
          </tbody>
        </ScrollTable>
      </Card>
    </>
  )
}
