/** The same action for all that are selected, and one honest list of what became of each. */
import { Button, Group, Modal, Table } from '@mantine/core'
import { useState } from 'react'
import type { VmView } from '../../model/api/views.ts'
import { useCloud, useConsole } from '../cloud/console-context.ts'
import { type BulkResult, carryOutAll } from '../logic/carry-out-all.ts'
import { type ConsoleVmAction, carryOut, confirmationOf, obstacleOfRole, obstacleTo } from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'
import { ConfirmDialog, type Question } from './confirm-dialog.tsx'
import { ActionButton, Foreign } from './parts.tsx'

const bulkActions = ['start', 'stop', 'migrate', 'kill', 'delete'] as const

export function BulkActions({ chosen, onDone }: { readonly chosen: readonly VmView[]; readonly onDone: () => void }) {
  const { client, signedIn } = useConsole()
  const { vms } = useCloud()
  const [question, setQuestion] = useState<Question | null>(null)
  const [results, setResults] = useState<readonly BulkResult[] | null>(null)
  const names = chosen.map(({ name }) => name)
  const byName = new Map([...vms.values()].map((vm) => [vm.name, vm]))

  const run = async (action: ConsoleVmAction) => {
    const obstacle = (name: string) => {
      const vm = byName.get(name)
      return vm === undefined ? texts.machine.gone : obstacleTo(action, vm, signedIn.role)
    }
    setResults(await carryOutAll(names, { obstacle, carryOut: (name) => carryOut(client, action, name) }))
    onDone()
  }
  const ask = (action: ConsoleVmAction) => {
    const label = texts.actions[action]
    const kind = confirmationOf[action]
    if (kind === 'none') return void run(action)
    const title = texts.confirm.title(label, names.length === 1 ? (names[0] ?? '') : texts.confirm.many(names.length))
    const word = kind === 'type-name' ? texts.confirm.countWord(names.length) : null
    setQuestion({
      title,
      warning: `${names.slice(0, 20).join(', ')}${names.length > 20 ? ' …' : ''}. ${texts.warnings[action]}`,
      label,
      word,
      onYes: () => void run(action),
    })
  }

  return (
    <>
      {names.length === 0 ? null : (
        <Group className="bulk" gap="xs" mb="sm">
          <span role="status">{texts.machines.selected(names.length)}</span>
          {bulkActions.map((action) => (
            <ActionButton
              key={action}
              label={texts.actions[action]}
              obstacle={obstacleOfRole(signedIn.role, 'operator')}
              onPress={() => ask(action)}
            />
          ))}
        </Group>
      )}
      <ConfirmDialog question={question} onClose={() => setQuestion(null)} />
      <Modal
        opened={results !== null}
        onClose={() => setResults(null)}
        title={texts.machines.results}
        size="lg"
        closeButtonProps={{ 'aria-label': texts.close }}
      >
        <Results results={results ?? []} />
        <Group justify="flex-end" mt="md">
          <Button onClick={() => setResults(null)}>{texts.close}</Button>
        </Group>
      </Modal>
    </>
  )
}

const words = {
  accepted: texts.machines.accepted,
  'left-out': texts.machines.leftOut,
  refused: texts.machines.refused,
} as const

function Results({ results }: { readonly results: readonly BulkResult[] }) {
  return (
    <Table>
      <Table.Tbody>
        {results.map((result) => (
          <Table.Tr key={result.name}>
            <Table.Td>{result.name}</Table.Td>
            <Table.Td>{words[result.outcome]}</Table.Td>
            <Table.Td>
              {result.outcome === 'accepted' ? null : <Foreign text={result.reason} />}{' '}
              {result.outcome === 'refused' ? result.next : null}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  )
}
