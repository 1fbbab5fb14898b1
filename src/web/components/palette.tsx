/** Ctrl-K: every page, object and action by a few letters. */
import { Modal, TextInput } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import { type KeyboardEvent, useState } from 'react'
import { useCloud, useConsole } from '../cloud/console-context.ts'
import { useAct } from '../cloud/use-act.ts'
import { createPage, pages } from '../logic/pages.ts'
import { type PaletteItem, searchPalette } from '../logic/palette.ts'
import { carryOut, confirmationOf } from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'
import { ConfirmDialog, type Question } from './confirm-dialog.tsx'

export function Palette({ isOpen, onClose }: { readonly isOpen: boolean; readonly onClose: () => void }) {
  const [question, setQuestion] = useState<Question | null>(null)
  return (
    <>
      <Modal
        opened={isOpen}
        onClose={onClose}
        withCloseButton={false}
        padding="xs"
        size="lg"
        yOffset="10vh"
        transitionProps={{ duration: 0 }}
        title={texts.palette.open}
      >
        {isOpen ? <Search onClose={onClose} onAsk={setQuestion} /> : null}
      </Modal>
      <ConfirmDialog question={question} onClose={() => setQuestion(null)} />
    </>
  )
}

function Search({ onClose, onAsk }: { readonly onClose: () => void; readonly onAsk: (question: Question) => void }) {
  const state = useCloud()
  const { signedIn } = useConsole()
  const navigate = useNavigate()
  const act = useAct()
  const [query, setQuery] = useState('')
  const [chosen, setChosen] = useState(0)
  const items = searchPalette(query, { state, pages: [...pages, createPage], role: signedIn.role })
  const index = Math.min(chosen, items.length - 1)

  const run = ({ run: what, title }: PaletteItem) => {
    onClose()
    if ('go' in what) return void navigate({ href: what.go })
    const { action, vm } = what
    const onYes = () => void act(title, (client) => carryOut(client, action, vm))
    const kind = confirmationOf[action]
    if (kind === 'none') return onYes()
    const label = texts.actions[action]
    onAsk({
      title: texts.confirm.title(label, vm),
      warning: texts.warnings[action],
      label,
      word: kind === 'ask' ? null : vm,
      onYes,
    })
  }
  const press = (event: KeyboardEvent) => {
    const item = items[index]
    if (event.key === 'Enter' && item !== undefined) run(item)
    if (event.key === 'ArrowDown') setChosen(Math.min(index + 1, items.length - 1))
    if (event.key === 'ArrowUp') setChosen(Math.max(index - 1, 0))
    if (event.key.startsWith('Arrow')) event.preventDefault()
  }

  return (
    <>
      <TextInput
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-items"
        aria-activedescendant={items.length > 0 ? `palette-${index}` : undefined}
        aria-label={texts.palette.label}
        placeholder={texts.palette.label}
        data-autofocus
        value={query}
        onChange={(event) => {
          setQuery(event.currentTarget.value)
          setChosen(0)
        }}
        onKeyDown={press}
      />
      <Found items={items} index={index} onChoose={setChosen} onRun={run} />
      {items.length === 0 ? <p className="palette-none">{texts.palette.none}</p> : null}
    </>
  )
}

type FoundProps = {
  readonly items: readonly PaletteItem[]
  readonly index: number
  readonly onChoose: (index: number) => void
  readonly onRun: (item: PaletteItem) => void
}

/** The keyboard is the input's: here is only what it points at. */
function Found({ items, index, onChoose, onRun }: FoundProps) {
  return (
    <div id="palette-items" role="listbox" aria-label={texts.palette.open} className="palette">
      {items.map((item, position) => (
        <div
          key={item.key}
          id={`palette-${position}`}
          role="option"
          tabIndex={-1}
          aria-selected={position === index}
          className="palette-item"
          onClick={() => onRun(item)}
          onMouseEnter={() => onChoose(position)}
        >
          <span>{item.title}</span>
          <span className="palette-kind">{item.kind}</span>
        </div>
      ))}
    </div>
  )
}
