/** Who this host is to the cluster: made once, by joining with a one-time token; kept in the host's own tree, private key and all. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { hostContract } from '../model/agent-protocol/host-contract.ts'
import type { Clock } from '../model/clock.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { hostIdSchema } from '../model/ids.ts'
import type { Logger } from '../model/logger.ts'
import { createContractClient } from '../transport/contract-client.ts'
import { makeHostKey, signJoinRequest } from '../transport/host-key.ts'
import { parseJoinToken } from '../transport/join-token.ts'
import { fetchAuthorityByFingerprint } from '../transport/join-trust.ts'
import type { AgentConfig } from './agent-config.ts'

const identitySchema = z.object({
  hostId: hostIdSchema,
  clusterId: z.uuid(),
  certificatePem: z.string(),
  privateKeyPem: z.string(),
  authorityPem: z.string(),
})
export type HostIdentity = z.infer<typeof identitySchema>

/** The stored identity, or a new one by joining; waits for the controller as long as it takes. */
export async function obtainIdentity(
  config: AgentConfig,
  options: { readonly clock: Clock; readonly logger: Logger },
): Promise<HostIdentity> {
  const path = join(config.dataDirectory, 'identity.json')
  const stored = await readFile(path, 'utf8').catch(() => undefined)
  if (stored !== undefined) return identitySchema.parse(JSON.parse(stored))
  if (config.joinToken === undefined)
    throw new DialtoneError(
      'machine-setup',
      `${config.hostName} has not joined a cluster and has no joinToken in its configuration`,
    )
  for (let attempt = 0; ; attempt += 1) {
    try {
      const identity = await joinCluster(config, config.joinToken)
      await mkdir(config.dataDirectory, { recursive: true })
      await writeFile(`${path}.new`, JSON.stringify(identity), { mode: 0o600, flush: true })
      await rename(`${path}.new`, path)
      return identity
    } catch (error) {
      const mayPass =
        error instanceof DialtoneError &&
        (error.code === 'host-unreachable' || error.code === 'deadline-exceeded' || error.code === 'not-leader')
      if (!mayPass) throw error
      if (attempt % 20 === 0)
        options.logger.warn('join.waits', { controller: config.controllerUrl, error: error.message })
      await options.clock.sleep(250)
    }
  }
}

async function joinCluster(config: AgentConfig, token: string): Promise<HostIdentity> {
  const { hostname: host, port } = new URL(config.controllerUrl)
  const fingerprint = parseJoinToken(token).authorityFingerprint
  const authority = await fetchAuthorityByFingerprint({ host, port: Number(port), fingerprint, timeoutMs: 5_000 })
  const key = makeHostKey()
  const client = createContractClient(hostContract, { baseUrl: config.controllerUrl, tls: { ca: authority } })
  try {
    const answer = await client.call('join', {
      body: {
        token,
        hostName: config.hostName,
        publicKeyPem: key.publicKeyPem,
        signature: signJoinRequest(token, key),
        address: config.listen.host,
        port: config.listen.port,
        localStoragePath: join(config.dataDirectory, 'storage', 'local'),
      },
    })
    return {
      hostId: answer.hostId,
      clusterId: answer.clusterId,
      certificatePem: answer.certificatePem,
      privateKeyPem: key.privateKeyPem,
      authorityPem: answer.authorityPem,
    }
  } finally {
    await client.close()
  }
}
