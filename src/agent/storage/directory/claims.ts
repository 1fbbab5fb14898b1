/**
 * Claims beside a disk, `claim-EPOCH-INCARNATION.json`: who took it for writing, in which life. They detect mistakes; the fence is
 * elsewhere. The order of two claims is in their names, so a damaged content never hides a higher claim.
 */
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { machineLifeSchema } from '../../../model/machine-order.ts'
import { isSameOwner } from '../same-owner.ts'
import type { Ownership } from '../storage.ts'
import { createExclusively, isErrno } from './durable-files.ts'

const ownershipSchema = z.object({ hostName: z.string(), life: machineLifeSchema, bootId: z.string().optional() })
/** The two highest stay, so that the one before the last can be named when something went wrong. */
const keptClaims = 2

type Claim = { readonly epoch: number; readonly incarnation: number; readonly fileName: string }

/**
 * Claims for `ownership`, durably. The same claim again by the same owner is fine. Throws `stale-epoch` when an equal one of another
 * owner, or any higher one, stands there; also when that one was made at the same moment.
 */
export async function claimFolder(folder: string, temporaryPath: string, ownership: Ownership): Promise<void> {
  const { epoch, incarnation } = ownership.life
  const wanted = { epoch, incarnation, fileName: `claim-${epoch}-${incarnation}.json` }
  await refuseIfHigher(folder, wanted)
  const content = `${JSON.stringify(ownership)}\n`
  if (!(await createExclusively(join(folder, wanted.fileName), temporaryPath, { content, mode: 0o644 }))) {
    const holder = await readOwnership(folder, wanted)
    if (holder === undefined || !isSameOwner(holder, ownership)) throw stale(folder, wanted, holder)
  }
  const claims = await refuseIfHigher(folder, wanted)
  for (const claim of claims.slice(keptClaims)) await rm(join(folder, claim.fileName), { force: true })
}

/** The highest claim, or undefined. `storage-failed` when it is damaged. */
export async function readHighestClaim(folder: string): Promise<Ownership | undefined> {
  const [highest] = await listClaims(folder)
  if (highest === undefined) return undefined
  const ownership = await readOwnership(folder, highest)
  if (ownership === undefined) {
    throw new DialtoneError('storage-failed', `${join(folder, highest.fileName)} is damaged: its owner is unknown`)
  }
  return ownership
}

async function refuseIfHigher(folder: string, wanted: Claim): Promise<readonly Claim[]> {
  const claims = await listClaims(folder)
  const [highest] = claims
  if (highest !== undefined && highestFirst(highest, wanted) < 0) {
    throw stale(folder, highest, await readOwnership(folder, highest))
  }
  return claims
}

async function listClaims(folder: string): Promise<Claim[]> {
  const fileNames = await readdir(folder).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  })
  return fileNames
    .flatMap((fileName) => {
      const numbers = /^claim-(\d+)-(\d+)\.json$/.exec(fileName)
      return numbers === null ? [] : [{ epoch: Number(numbers[1]), incarnation: Number(numbers[2]), fileName }]
    })
    .sort(highestFirst)
}

function highestFirst(left: Claim, right: Claim): number {
  return right.epoch - left.epoch || right.incarnation - left.incarnation
}

async function readOwnership(folder: string, claim: Claim): Promise<Ownership | undefined> {
  const text = await readFile(join(folder, claim.fileName), 'utf8')
  try {
    return ownershipSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

function stale(folder: string, claim: Claim, holder: Ownership | undefined): DialtoneError {
  const owner = holder === undefined ? 'an unknown host' : `host ${holder.hostName} for ${holder.life.vmId}`
  const life = `epoch ${claim.epoch}, incarnation ${claim.incarnation}`
  return new DialtoneError('stale-epoch', `${folder} is claimed by ${owner} with ${life}`, { detail: holder })
}
