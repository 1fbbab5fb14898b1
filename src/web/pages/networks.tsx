/** Networks, and what machines may be sent. */
import { Stack } from '@mantine/core'
import { useAnswer } from '../cloud/use-answer.ts'
import { Card, ErrorNote, Foreign, MachineLink, Nothing, PageHead, ScrollTable } from '../components/parts.tsx'
import { texts } from '../texts.ts'

export function NetworksPage() {
  const { value, error } = useAnswer('listNetworks', {}, { after: ['network', 'vm.'] })
  const groups = useAnswer('listSecurityGroups', {}, { after: ['security-group', 'firewall', 'vm.'] }).value?.groups
  return (
    <>
      <PageHead title={texts.pages.networks} />
      {error === null ? null : <ErrorNote error={error} />}
      <Stack gap="md">
        <Card title={texts.pages.networks}>
          <ScrollTable>
            <thead>
              <tr>
                <th scope="col">{texts.columns.name}</th>
                <th scope="col">{texts.networks.segment}</th>
                <th scope="col">{texts.networks.subnet}</th>
                <th scope="col">{texts.networks.uplink}</th>
                <th scope="col">{texts.networks.hosts}</th>
                <th scope="col">{texts.networks.machines}</th>
              </tr>
            </thead>
            <tbody>
              {value?.networks.map((network) => (
                <tr key={network.id}>
                  <th scope="row">{network.name}</th>
                  <td>{network.segment.kind}</td>
                  <td>
                    {network.pool.subnet}
                    <div className="quiet">
                      {network.pool.addressFrom} – {network.pool.addressTo}
                    </div>
                  </td>
                  <td>{network.uplink}</td>
                  <td>{network.hostNames.join(', ') || '–'}</td>
                  <td className="figures">{network.vmNames.length}</td>
                </tr>
              ))}
            </tbody>
          </ScrollTable>
        </Card>
        <Card title={texts.networks.groups}>
          {groups?.length === 0 ? <Nothing>{texts.networks.noGroups}</Nothing> : null}
          {groups?.map((group) => (
            <div key={group.id} className="group">
              <strong>{group.name}</strong>
              <ul>
                {group.rules.length === 0 ? <li>{texts.networks.noRules}</li> : null}
                {group.rules.map(({ sentence }) => (
                  <li key={sentence}>
                    <Foreign text={sentence} />
                  </li>
                ))}
              </ul>
              <span className="chips">
                {group.vmNames.map((name) => (
                  <MachineLink key={name} name={name} />
                ))}
              </span>
            </div>
          ))}
        </Card>
      </Stack>
    </>
  )
}
