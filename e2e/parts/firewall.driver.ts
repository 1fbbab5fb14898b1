/**
 * The firewall of one host as a program, so that a test can run it in the host's network namespace. Options as JSON in the first argument,
 * the kind that is wanted instead of the probed one in the second; one JSON line in for each call, one out for its outcome. The first
 * line out is what was found out about this kernel.
 */
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { createNftFirewall } from '../../src/agent/firewall/nft/nft-firewall.ts'
import { probeFirewall } from '../../src/agent/firewall/nft/probe-firewall.ts'
import { DialtoneError } from '../../src/model/dialtone-error.ts'
import { firewallKindSchema, hostFirewallSchema } from '../../src/model/firewall.ts'
import { vmIdSchema } from '../../src/model/ids.ts'

const tapSchema = z.object({
  tapName: z.string(),
  vmId: vmIdSchema,
  macAddress: z.string(),
  address: z.string(),
  address6: z.string().nullable().default(null),
})
const note = (level: string) => (event: string, detail?: object) => console.error(level, event, detail)
const logger = { info: note('info'), warn: note('warn'), error: note('error') }
const [options = '{}', kind] = process.argv.slice(2)
const probed = await probeFirewall()
const ability = kind === undefined ? probed : { kind: firewallKindSchema.parse(kind), detail: 'chosen by the test' }
const firewall = createNftFirewall({ ...JSON.parse(options), ability, logger })
console.log(JSON.stringify({ result: probed }))

for await (const line of createInterface(process.stdin)) {
  const { call, argument } = JSON.parse(line)
  try {
    await perform(call, argument)
    console.log(JSON.stringify({ result: null }))
  } catch (error) {
    if (!(error instanceof DialtoneError)) throw error
    console.log(JSON.stringify({ error: { code: error.code, message: error.message } }))
  }
}

function perform(call: string, argument: unknown): Promise<void> {
  switch (call) {
    case 'guard':
      return firewall.guard(tapSchema.parse(argument))
    case 'forget':
      return firewall.forget(z.string().parse(argument))
    case 'adopt':
      return firewall.adopt(z.array(tapSchema).parse(argument))
    case 'setPolicy':
      return firewall.setPolicy(hostFirewallSchema.parse(argument))
    default:
      throw new Error(`unknown call ${call}`)
  }
}
