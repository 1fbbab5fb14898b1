/** What must hold, held against what the hosts really have. */
import { Button } from '@mantine/core'
import { useState } from 'react'
import type { Finding } from '../../model/api/views.ts'
import { errorCatalogue } from '../../model/dialtone-error.ts'
import { asDialtoneError } from '../api/console-client.ts'
import { useConsole } from '../cloud/console-context.ts'
import { Card, Foreign, Nothing, PageHead, StateBadge } from '../components/parts.tsx'
import { texts } from '../texts.ts'

type Examination = { readonly findings: readonly Finding[]; readonly checked: readonly string[] }

export function DoctorPage() {
  const { client, notify } = useConsole()
  const [result, setResult] = useState<Examination | null>(null)
  const [isBusy, setBusy] = useState(false)
  const examine = () => {
    setBusy(true)
    client
      .call('doctor', {})
      .then(setResult, (caught: unknown) => {
        const error = asDialtoneError(caught)
        notify({ kind: 'failed', text: error.message, next: errorCatalogue[error.code].next })
      })
      .finally(() => setBusy(false))
  }
  return (
    <>
      <PageHead title={texts.pages.doctor}>
        <Button onClick={examine} loading={isBusy}>
          {texts.doctor.run}
        </Button>
      </PageHead>
      <Card title={texts.doctor.finding}>
        {result === null ? (
          <Nothing>{texts.doctor.never}</Nothing>
        ) : result.findings.length === 0 ? (
          <p>✓ {texts.doctor.fine}</p>
        ) : null}
        {result?.findings.map(({ invariant, severity, subject, message, next }) => (
          <div key={`${invariant} ${subject} ${message}`} className="finding">
            <StateBadge state={severity === 'danger' ? 'failed' : 'unknown'} /> <strong>{subject}</strong>{' '}
            <Foreign text={message} />
            <div className="quiet">
              {invariant} · {texts.doctor.next}: <Foreign text={next} />
            </div>
          </div>
        ))}
        {result === null ? null : (
          <p className="quiet">
            {texts.doctor.checked}: {result.checked.join(', ')}
          </p>
        )}
      </Card>
    </>
  )
}
