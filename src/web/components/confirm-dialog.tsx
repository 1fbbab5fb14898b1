/** Asks before something is lost, in proportion: a question, or the name typed for what can't be undone. */
import { Button, Group, Modal, Text, TextInput } from '@mantine/core'
import { type SyntheticEvent, useState } from 'react'
import { texts } from '../texts.ts'

export type Question = {
  readonly title: string
  readonly warning: string
  readonly label: string
  /** What has to be typed; null: a question is enough. */
  readonly word: string | null
  readonly onYes: () => void
}

export function ConfirmDialog({
  question,
  onClose,
}: {
  readonly question: Question | null
  readonly onClose: () => void
}) {
  return (
    <Modal
      opened={question !== null}
      onClose={onClose}
      title={question?.title ?? ''}
      centered
      closeButtonProps={{ 'aria-label': texts.close }}
    >
      {question === null ? null : <Asked question={question} onClose={onClose} />}
    </Modal>
  )
}

function Asked({ question, onClose }: { readonly question: Question; readonly onClose: () => void }) {
  const [typed, setTyped] = useState('')
  const isReady = question.word === null || typed === question.word
  const submit = (event: SyntheticEvent) => {
    event.preventDefault()
    if (!isReady) return
    onClose()
    question.onYes()
  }
  return (
    <form onSubmit={submit}>
      <Text mb="md">{question.warning}</Text>
      {question.word === null ? null : (
        <TextInput
          label={texts.confirm.typeName(question.word)}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          autoComplete="off"
          data-autofocus
          mb="md"
        />
      )}
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose}>
          {texts.confirm.cancel}
        </Button>
        <Button type="submit" color="red" disabled={!isReady}>
          {question.label}
        </Button>
      </Group>
    </form>
  )
}
