/** What was just done, and what did not work: told to screen readers as well. */
import { CloseButton } from '@mantine/core'
import type { Notice } from '../cloud/console-context.ts'
import { texts } from '../texts.ts'
import { Foreign } from './parts.tsx'

export type ShownNotice = Notice & { readonly key: number }

export function Notices({
  notices,
  onDismiss,
}: {
  readonly notices: readonly ShownNotice[]
  readonly onDismiss: (key: number) => void
}) {
  return (
    <section className="notices" aria-live="polite" aria-label={texts.pages.events}>
      {notices.map(({ key, kind, text, next }) => (
        <div key={key} className={`notice notice-${kind}`}>
          <div>
            <strong>
              <Foreign text={text} />
            </strong>
            {next === undefined ? null : (
              <div>
                {texts.error.next} {next}
              </div>
            )}
          </div>
          <CloseButton aria-label={texts.error.dismiss} onClick={() => onDismiss(key)} />
        </div>
      ))}
    </section>
  )
}
