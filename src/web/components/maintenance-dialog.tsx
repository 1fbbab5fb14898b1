/** Maintenance of a host, with where everything would go and what does not fit, before anything begins. */
import { Button, Checkbox, Group, Modal, Text } from '@mantine/core'
import { useState } from 'react'
import type { MaintenancePlan } from '../../model/maintenance.ts'
import { useAct } from '../cloud/use-act.ts'
import { useAnswer } from '../cloud/use-answer.ts'
import { texts } from '../texts.ts'
import { CommandLine, ErrorNote, Foreign, Nothing, ScrollTable } from './parts.tsx'

export function MaintenanceDialog({ host, onClose }: { readonly host: string | null; readonly onClose: () => void }) {
  return (
    <Modal
      opened={host !== null}
      onClose={onClose}
      title={host === null ? '' : texts.hosts.preview(host)}
      size="xl"
      closeButtonProps={{ 'aria-label': texts.close }}
    >
      {host === null ? null : <Preview host={host} onClose={onClose} />}
    </Modal>
  )
}

function Preview({ host, onClose }: { readonly host: string; readonly onClose: () => void }) {
  const act = useAct()
  const [stop, setStop] = useState(false)
  const [restartElsewhere, setRestart] = useState(false)
  const query = { stop: stop ? 'true' : 'false', restartElsewhere: restartElsewhere ? 'true' : 'false' } as const
  const { value: plan, error } = useAnswer('planMaintenance', { params: { host }, query }, { after: ['vm.', 'host.'] })
  const isStuck = plan?.moves.some(({ way }) => way === 'refused') ?? true
  const begin = async () => {
    const isBegun = await act(`${texts.hosts.maintenance} ${host}`, (client) =>
      client.call('beginMaintenance', { params: { host }, body: { stop, restartElsewhere } }),
    )
    if (isBegun) onClose()
  }
  return (
    <>
      {error === null ? null : <ErrorNote error={error} />}
      {plan?.moves.length === 0 ? (
        <Nothing>{texts.hosts.nothingThere}</Nothing>
      ) : (
        <Text mb="xs">{texts.hosts.previewText}</Text>
      )}
      <Moves moves={plan?.moves ?? []} />
      {plan?.warnings.map((warning) => (
        <Text key={warning} size="sm" className="warning-line">
          <span aria-hidden="true">!</span> <Foreign text={warning} />
        </Text>
      ))}
      <Checkbox
        mt="md"
        label={texts.hosts.restartElsewhere}
        checked={restartElsewhere}
        onChange={(event) => setRestart(event.currentTarget.checked)}
      />
      <Checkbox
        mt="xs"
        label={texts.hosts.stop}
        checked={stop}
        onChange={(event) => setStop(event.currentTarget.checked)}
      />
      <Group justify="space-between" mt="md">
        <CommandLine
          command={`dialtone host maintenance on ${host}${stop ? ' --stop' : ''}${restartElsewhere ? ' --restart-elsewhere' : ''}`}
        />
        <Group gap="xs">
          {isStuck && plan !== null ? <Text size="sm">{texts.hosts.refused}</Text> : null}
          <Button disabled={isStuck} onClick={() => void begin()}>
            {texts.hosts.go}
          </Button>
        </Group>
      </Group>
    </>
  )
}

function Moves({ moves }: { readonly moves: MaintenancePlan['moves'] }) {
  return (
    <ScrollTable>
      <tbody>
        {moves.map(({ vmName, way, toHostName, reason, refusals }) => (
          <tr key={vmName} className={way === 'refused' ? 'row-refused' : ''}>
            <th scope="row">{vmName}</th>
            <td>{way}</td>
            <td>{toHostName ?? '–'}</td>
            <td>
              <Foreign text={reason} />
              {refusals.map(({ hostName, reason: why }) => (
                <div key={hostName} className="quiet">
                  {hostName}: <Foreign text={why} />
                </div>
              ))}
            </td>
          </tr>
        ))}
      </tbody>
    </ScrollTable>
  )
}
