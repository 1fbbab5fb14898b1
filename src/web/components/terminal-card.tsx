/** Opens a machine's serial console on its page. */
import { Text } from '@mantine/core'
import { lazy, Suspense, useState } from 'react'
import type { VmView } from '../../model/api/views.ts'
import { useConsole } from '../cloud/console-context.ts'
import { obstacleTo } from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'
import { ActionButton, Card, CommandLine, Foreign } from './parts.tsx'

const Terminal = lazy(async () => ({ default: (await import('./terminal.tsx')).Terminal }))

type TerminalState =
  | { readonly kind: 'closed' | 'opening' | 'open' }
  | { readonly kind: 'ended'; readonly reason: string }

export function TerminalCard({ vm }: { readonly vm: VmView }) {
  const { signedIn } = useConsole()
  const [state, setState] = useState<TerminalState>({ kind: 'closed' })
  const [turn, setTurn] = useState(0)
  const isShown = state.kind !== 'closed'
  const open = () => {
    setState({ kind: 'opening' })
    setTurn(turn + 1)
  }
  const press = isShown && state.kind !== 'ended' ? () => setState({ kind: 'closed' }) : open
  const label =
    state.kind === 'closed' ? texts.terminal.open : state.kind === 'ended' ? texts.terminal.again : texts.terminal.close
  return (
    <Card
      title={texts.terminal.title}
      aside={
        <ActionButton
          label={label}
          obstacle={isShown ? null : obstacleTo('console', vm, signedIn.role)}
          onPress={press}
        />
      }
    >
      {isShown ? (
        <Suspense fallback={null}>
          <Terminal
            key={turn}
            vm={vm.id}
            label={texts.terminal.of(vm.name)}
            onState={(kind, reason) => setState(kind === 'open' ? { kind } : { kind, reason })}
          />
        </Suspense>
      ) : null}
      <Text size="sm" className="quiet" role="status">
        {texts.terminal.states[state.kind]} {state.kind === 'ended' ? <Foreign text={state.reason} /> : null}
      </Text>
      <Text size="xs" mt={4} className="quiet">
        {texts.machine.command}: <CommandLine command={`dialtone vm console ${vm.name}`} />
      </Text>
    </Card>
  )
}
