/** Small parts that every page is made of. */
import { Button, type ButtonProps, Group, Paper, Text, Title, Tooltip } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { formatAge } from '../../model/age.ts'
import type { DialtoneError } from '../../model/dialtone-error.ts'
import { errorCatalogue } from '../../model/dialtone-error.ts'
import { printableText } from '../../model/printable-text.ts'
import { useNow } from '../cloud/use-now.ts'
import { lookOf } from '../logic/state-look.ts'
import { texts } from '../texts.ts'

/** A state as a word with its sign. */
export function StateBadge({ state }: { readonly state: string }) {
  const { tone, sign } = lookOf(state)
  return (
    <span className={`state state-${tone}`}>
      <span aria-hidden="true">{sign}</span> {state}
    </span>
  )
}

/** A table that scrolls by itself where it is too wide, or too long; reached by the keyboard for that. */
export function ScrollTable({ axis = 'x', children }: { readonly axis?: 'x' | 'y'; readonly children: ReactNode }) {
  return (
    <div className={`scroll-${axis}`} tabIndex={0}>
      <table className="plain-table">{children}</table>
    </div>
  )
}

/** Text that others wrote: control characters are made visible. */
export function Foreign({ text }: { readonly text: string }) {
  return <>{printableText(text)}</>
}

/** How long ago, with the moment itself in the reader's zone. */
export function Age({ at }: { readonly at: string }) {
  const nowMs = useNow()
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()}>
      {texts.ago(formatAge(at, nowMs))}
    </time>
  )
}

export function PageHead({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <Group justify="space-between" align="center" mb="md" gap="sm">
      <Title order={1} size="h2">
        {title}
      </Title>
      <Group gap="xs">{children}</Group>
    </Group>
  )
}

export function Card({
  title,
  aside,
  children,
}: {
  readonly title: string
  readonly aside?: ReactNode
  readonly children: ReactNode
}) {
  return (
    <Paper component="section" withBorder radius="md" p="md" aria-label={title} className="card">
      <Group justify="space-between" mb="xs" gap="xs">
        <Title order={2} size="h5">
          {title}
        </Title>
        {aside}
      </Group>
      {children}
    </Paper>
  )
}

/** A button that says why it can't be pressed. It stays reachable, so that a screen reader gets to know as well. */
export function ActionButton({
  label,
  obstacle,
  onPress,
  ...look
}: {
  readonly label: string
  readonly obstacle: string | null
  readonly onPress: () => void
} & Pick<ButtonProps, 'color' | 'variant' | 'size'>) {
  if (obstacle === null)
    return (
      <Button size="xs" variant="default" {...look} onClick={onPress}>
        {label}
      </Button>
    )
  return (
    <Tooltip label={obstacle} multiline maw={320} events={{ hover: true, focus: true, touch: true }}>
      <Button
        size="xs"
        variant="default"
        data-disabled
        aria-disabled="true"
        className="greyed"
        aria-label={`${label}: ${obstacle}`}
        onClick={(event) => event.preventDefault()}
      >
        {label}
      </Button>
    </Tooltip>
  )
}

export function ErrorNote({ error }: { readonly error: DialtoneError }) {
  return (
    <Paper role="alert" className="error-note" p="sm" radius="md" withBorder>
      <Text fw={600}>
        <Foreign text={error.message} />
      </Text>
      <Text size="sm">
        {texts.error.next} {errorCatalogue[error.code].next}
      </Text>
    </Paper>
  )
}

export function Nothing({ children }: { readonly children: ReactNode }) {
  return (
    <Text py="sm" className="quiet">
      {children}
    </Text>
  )
}

export function MachineLink({ name }: { readonly name: string }) {
  return (
    <Link to="/machines/$name" params={{ name }} className="strong-link">
      {name}
    </Link>
  )
}

/** A command that does the same, to be copied. */
export function CommandLine({ command }: { readonly command: string }) {
  return <code className="command">{command}</code>
}

/** A share of something as a bar with its figures in words. */
export function Share({
  label,
  used,
  all,
  unit,
}: {
  readonly label: string
  readonly used: number
  readonly all: number
  readonly unit: (figure: number) => string
}) {
  const share = all === 0 ? 0 : Math.min(1, used / all)
  return (
    <div>
      <Group justify="space-between" gap="xs">
        <Text size="sm">{label}</Text>
        <Text size="sm" className="figures">
          {unit(used)} / {unit(all)}
        </Text>
      </Group>
      <meter className="meter" aria-label={label} min={0} max={1} high={0.9} value={share} />
    </div>
  )
}
