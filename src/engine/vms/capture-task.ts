/** Has a new memory image captured of a machine that runs. The agent does it; what breaks leaves the last good image. */
import { z } from 'zod'
import { vmIdSchema } from '../../model/ids.ts'
import type { AgentPort } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import { machineTarget } from '../order-target.ts'
import { defineSaga, type RunnableSaga } from '../tasks/saga.ts'

const journalSchema = z.object({ vmId: vmIdSchema })

export function captureSaga(leader: Leader, agents: AgentPort): RunnableSaga {
  return defineSaga<z.infer<typeof journalSchema>>({
    kind: 'vm.warm',
    journalSchema,
    pointOfNoReturn: 'capture',
    steps: [
      {
        name: 'capture',
        message: 'captures its memory while it runs',
        timeoutMs: 600_000,
        run: async ({ journal: { vmId } }) => {
          const { host, authority, spec, placement } = machineTarget(leader, vmId)
          const imageId = await agents.captureMachine(host, {
            vmId,
            authority,
            epoch: placement.epoch,
            kind: 'recovery',
          })
          await leader.events.record({
            kind: 'vm.image-captured',
            subject: spec.name,
            message: `image ${imageId} was captured by request`,
            vmId,
            hostId: host.id,
          })
        },
      },
    ],
  })
}
