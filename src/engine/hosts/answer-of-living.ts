/** An order's answer, for those who wait for nothing else meanwhile: from a host that is proven dead none comes, however long its line stays open. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostSpec } from '../../model/host.ts'
import type { Leader } from '../leader.ts'

/** What the host answers. Throws `host-unreachable` as soon as the host is proven dead: as after a deadline, it may have done it. */
export async function answerOfLiving<Answer>(
  { index }: Pick<Leader, 'index'>,
  { id, name }: HostSpec,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  const { promise: death, reject } = Promise.withResolvers<never>()
  const look = () => {
    if (index.state().hosts.get(id)?.status.proof !== null)
      reject(new DialtoneError('host-unreachable', `${name} is proven dead`))
  }
  const stop = index.onChange((touched) => {
    if (touched.some((one) => one.id === id)) look()
  })
  look()
  try {
    return await Promise.race([death, ask()])
  } finally {
    stop()
  }
}
