/** The snapshots of a machine as a tree; taking one, going back to one, letting one go. */
import { Button, Checkbox, Group, Modal, Text, TextInput } from '@mantine/core'
import { type SyntheticEvent, useState } from 'react'
import { formatDuration } from '../../model/age.ts'
import type { SnapshotView } from '../../model/api/snapshot-routes.ts'
import type { VmView } from '../../model/api/views.ts'
import { useConsole } from '../cloud/console-context.ts'
import { useAct } from '../cloud/use-act.ts'
import { useAnswer } from '../cloud/use-answer.ts'
import { nameForPresent, obstacleToDeletion, type SnapshotNode, snapshotForest } from '../logic/snapshot-forest.ts'
import { obstacleOfRole, obstacleTo } from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'
import { ConfirmDialog, type Question } from './confirm-dialog.tsx'
import { ActionButton, Age, Card, CommandLine, Foreign, Nothing } from './parts.tsx'

type Pressed = (snapshot: SnapshotView) => void

export function SnapshotsCard({ vm }: { readonly vm: VmView }) {
  const { signedIn } = useConsole()
  const act = useAct()
  const [isTaking, setTaking] = useState(false)
  const [target, setTarget] = useState<SnapshotView | null>(null)
  const [question, setQuestion] = useState<Question | null>(null)
  const answer = useAnswer('listSnapshots', { params: { vm: vm.id } }, { after: ['vm.', 'task.'] })
  const snapshots = answer.value?.snapshots ?? []
  const askToDelete: Pressed = ({ name }) =>
    setQuestion({
      title: texts.confirm.title(texts.snapshots.delete, name),
      warning: texts.snapshots.deleteWarning,
      label: texts.snapshots.delete,
      word: null,
      onYes: () =>
        void act(`${texts.snapshots.delete} ${name}`, (client) =>
          client.call('deleteSnapshot', { params: { vm: vm.id, snapshot: name } }),
        ),
    })
  return (
    <Card
      title={texts.snapshots.title}
      aside={
        <ActionButton
          label={texts.snapshots.take}
          obstacle={obstacleTo('snapshot', vm, signedIn.role)}
          onPress={() => setTaking(!isTaking)}
        />
      }
    >
      {isTaking ? <TakeSnapshot vm={vm} onDone={() => setTaking(false)} /> : null}
      {answer.value !== null && snapshots.length === 0 ? <Nothing>{texts.snapshots.none}</Nothing> : null}
      <SnapshotTree nodes={snapshotForest(snapshots)} vm={vm} onRevert={setTarget} onDelete={askToDelete} />
      <RevertDialog vm={vm} target={target} taken={snapshots.map(({ name }) => name)} onClose={() => setTarget(null)} />
      <ConfirmDialog question={question} onClose={() => setQuestion(null)} />
    </Card>
  )
}

type TreeProps = {
  readonly nodes: readonly SnapshotNode[]
  readonly vm: VmView
  readonly onRevert: Pressed
  readonly onDelete: Pressed
}

function SnapshotTree({ nodes, vm, onRevert, onDelete }: TreeProps) {
  const { signedIn } = useConsole()
  if (nodes.length === 0) return null
  return (
    <ul className="snapshot-tree">
      {nodes.map(({ snapshot, children }) => (
        <li key={snapshot.id}>
          <div className="snapshot">
            <span>
              <strong>{snapshot.name}</strong> <span className="quiet">{texts.snapshots.kinds[snapshot.kind]}</span>
              {snapshot.isProtected ? <span className="quiet"> · {texts.snapshots.protected}</span> : null}
              {snapshot.isHere ? <span className="snapshot-here"> ← {texts.snapshots.here}</span> : null}
              <br />
              <span className="quiet snapshot-note">
                <Age at={snapshot.takenAt} /> · {texts.snapshots.pause(formatDuration(Math.round(snapshot.pauseMs)))}{' '}
                <Foreign text={snapshot.note} />
              </span>
            </span>
            <Group gap="xs" wrap="nowrap">
              <ActionButton
                label={texts.snapshots.revert}
                obstacle={obstacleTo('revert', vm, signedIn.role)}
                onPress={() => onRevert(snapshot)}
                size="compact-xs"
              />
              <ActionButton
                label={texts.snapshots.delete}
                obstacle={obstacleOfRole(signedIn.role, 'operator') ?? obstacleToDeletion(snapshot)}
                onPress={() => onDelete(snapshot)}
                size="compact-xs"
              />
            </Group>
          </div>
          <SnapshotTree nodes={children} vm={vm} onRevert={onRevert} onDelete={onDelete} />
        </li>
      ))}
    </ul>
  )
}

function TakeSnapshot({ vm, onDone }: { readonly vm: VmView; readonly onDone: () => void }) {
  const act = useAct()
  const [name, setName] = useState('')
  const [isDiskOnly, setDiskOnly] = useState(false)
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault()
    const kind = isDiskOnly ? { kind: 'disk' as const } : {}
    const isDone = await act(`${texts.snapshots.take} ${name}`, (client) =>
      client.call('createSnapshot', { params: { vm: vm.id }, body: { name, ...kind } }),
    )
    if (isDone) onDone()
  }
  return (
    <form onSubmit={(event) => void submit(event)} className="change-mode">
      <Group align="flex-end" gap="sm" mb={4}>
        <TextInput
          label={texts.snapshots.name}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          required
        />
        <Checkbox
          label={texts.snapshots.diskOnly}
          checked={isDiskOnly}
          onChange={(event) => setDiskOnly(event.currentTarget.checked)}
          mb={8}
        />
        <Button type="submit" size="sm" disabled={name === ''}>
          {texts.snapshots.take}
        </Button>
      </Group>
      <CommandLine
        command={`dialtone vm snapshot create ${vm.name} ${name === '' ? 'NAME' : name}${isDiskOnly ? ' --disk-only' : ''}`}
      />
    </form>
  )
}

type RevertProps = {
  readonly vm: VmView
  readonly target: SnapshotView | null
  readonly taken: readonly string[]
  readonly onClose: () => void
}

/** A return gives up the present unless it is kept: so keeping is what is chosen until somebody says otherwise. */
function RevertDialog({ vm, target, taken, onClose }: RevertProps) {
  return (
    <Modal
      opened={target !== null}
      onClose={onClose}
      title={target === null ? '' : texts.snapshots.revertTitle(vm.name, target.name)}
      centered
      closeButtonProps={{ 'aria-label': texts.close }}
    >
      {target === null ? null : <RevertForm vm={vm} target={target} taken={taken} onClose={onClose} />}
    </Modal>
  )
}

function RevertForm({ vm, target, taken, onClose }: RevertProps & { readonly target: SnapshotView }) {
  const act = useAct()
  const [isKept, setKept] = useState(true)
  const keepAs = nameForPresent(target.name, taken)
  const shown = useAnswer('getSnapshot', { params: { vm: vm.id, snapshot: target.name } })
  const submit = (event: SyntheticEvent) => {
    event.preventDefault()
    onClose()
    const body = { snapshot: target.name, ...(isKept ? { keepAs } : {}) }
    void act(`${texts.snapshots.revert} ${vm.name}`, (client) =>
      client.call('revertVm', { params: { vm: vm.id }, body }),
    )
  }
  return (
    <form onSubmit={submit}>
      <Text mb="xs">{texts.snapshots.revertWarning[isKept ? 'kept' : 'lost']}</Text>
      <ul className="differences">
        {shown.value?.differences.map((difference) => (
          <li key={difference}>
            <Foreign text={difference} />
          </li>
        ))}
      </ul>
      <Checkbox
        label={texts.snapshots.keep(keepAs)}
        checked={isKept}
        onChange={(event) => setKept(event.currentTarget.checked)}
        mb="md"
      />
      <CommandLine
        command={`dialtone vm snapshot revert ${vm.name} ${target.name}${isKept ? ` --keep ${keepAs}` : ''}`}
      />
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={onClose}>
          {texts.confirm.cancel}
        </Button>
        <Button type="submit" color={isKept ? 'blue' : 'red'}>
          {texts.snapshots.revert}
        </Button>
      </Group>
    </form>
  )
}
