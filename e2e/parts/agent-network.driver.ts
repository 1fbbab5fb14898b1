/**
 * The bridge network of one host as a program, so that a test can run it in the host's network namespace. Options as JSON in the first
 * argument; one JSON line in for each call, one out for its outcome. Ends, as an agent does when it is killed, without cleaning up.
 */
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { createBridgeNetwork } from '../../src/agent/network/bridge/bridge-network.ts'
import { dhcpEntrySchema } from '../../src/agent/network/bridge/dhcp-hosts.ts'
import { hostNetworkSchema } from '../../src/model/agent-protocol/host-network.ts'
import { DialtoneError } from '../../src/model/dialtone-error.ts'
import { networkIdSchema } from '../../src/model/ids.ts'

const cardSchema = dhcpEntrySchema.extend({
  tapName: z.string(),
  networkId: networkIdSchema,
  address6: z.ipv6().nullable(),
})
const note = (level: string) => (event: string) => console.error(`${level}: ${event}`)
const logger = { info: note('info'), warn: note('warn'), error: note('error') }
const network = createBridgeNetwork({ ...JSON.parse(process.argv[2] ?? '{}'), logger })

for await (const line of createInterface(process.stdin)) {
  const { call, argument } = JSON.parse(line)
  try {
    const result = await perform(call, argument)
    console.log(JSON.stringify({ result: result ?? null }))
  } catch (error) {
    if (!(error instanceof DialtoneError)) throw error
    console.log(JSON.stringify({ error: { code: error.code, message: error.message } }))
  }
}

function perform(call: string, argument: unknown): Promise<unknown> {
  switch (call) {
    case 'connect':
      return network.connect(cardSchema.parse(argument))
    case 'disconnect':
      return network.disconnect(cardSchema.parse(argument))
    case 'configure':
      return network.configure(z.array(hostNetworkSchema).parse(argument))
    case 'settingsOf':
      return network.settingsOf(networkIdSchema.parse(argument))
    case 'listTaps':
      return network.listTaps()
    case 'removeTap':
      return network.removeTap(z.string().parse(argument))
    case 'adopt':
      return network.adopt(z.array(cardSchema).parse(argument))
    default:
      throw new Error(`unknown call ${call}`)
  }
}
