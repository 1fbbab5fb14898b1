/** What a machine is answered that asks 169.254.169.254 who it is, as EC2 does. Pure: the caller knows which machine asks. */
import type { NetworkId } from '../../model/ids.ts'
import type { MachineNic, MachineOrder } from '../../model/machine-order.ts'

export type MetadataQuestion = { readonly method: string; readonly path: string }
export type MetadataAnswer = { readonly status: number; readonly body: string }

/** A folder lists what is in it; a leaf is its text. */
type Tree = { readonly [name: string]: string | Tree }

/** `latest`, or a date: all are answered alike. */
const versions = ['1.0', '2009-04-04', '2016-09-02', 'latest'] as const

/** For whoever has this address in that network: nobody is told of another machine. */
export function answerFor(
  question: MetadataQuestion & { readonly networkId: NetworkId; readonly address: string },
  machines: readonly MachineOrder[],
): MetadataAnswer {
  for (const machine of machines) {
    const isAsked = ({ networkId, address }: MachineNic) =>
      networkId === question.networkId && address === question.address
    const nic = [machine.nic, ...machine.moreNics].find(isAsked)
    if (nic !== undefined) return answerMetadata(machine, nic, question)
  }
  return notFound
}

/** `nic`: the card that the question came from. */
export function answerMetadata(machine: MachineOrder, nic: MachineNic, question: MetadataQuestion): MetadataAnswer {
  if (question.method !== 'GET' && question.method !== 'HEAD') return { status: 405, body: 'only GET\n' }
  const [path = ''] = question.path.split('?')
  const names = path.split('/').filter((name) => name !== '')
  const [version, ...rest] = names
  if (version === undefined) return { status: 200, body: versions.join('\n') }
  if (version !== 'latest' && !/^(?:1\.0|\d{4}-\d\d-\d\d)$/.test(version)) return notFound
  const found = lookUp(treeOf(machine, nic), rest)
  if (found === undefined) return notFound
  return { status: 200, body: typeof found === 'string' ? found : listOf(found, rest) }
}

const notFound: MetadataAnswer = { status: 404, body: 'not found\n' }

function treeOf(machine: MachineOrder, nic: MachineNic): Tree {
  const { vmId, name, cloudInit } = machine
  const keys = cloudInit?.sshKeys ?? []
  return {
    'meta-data': {
      'ami-id': machine.templateVersion,
      hostname: name,
      'instance-id': vmId,
      'local-hostname': name,
      'local-ipv4': nic.address,
      mac: nic.macAddress,
      network: { interfaces: { macs: macsOf(machine) } },
      ...(keys.length === 0
        ? {}
        : { 'public-keys': Object.fromEntries(keys.map((key, index) => [`${index}`, { 'openssh-key': key }])) }),
    },
    ...(cloudInit === null || cloudInit.userData === null ? {} : { 'user-data': cloudInit.userData }),
  }
}

function macsOf({ nic, moreNics }: MachineOrder): Tree {
  return Object.fromEntries(
    [nic, ...moreNics].map(({ macAddress, address }, index) => [
      macAddress,
      { 'device-number': `${index}`, 'local-ipv4s': address, mac: macAddress },
    ]),
  )
}

function lookUp(tree: Tree, names: readonly string[]): string | Tree | undefined {
  let here: string | Tree = tree
  for (const name of names) {
    if (typeof here === 'string' || !Object.hasOwn(here, name)) return undefined
    const next: string | Tree | undefined = here[name]
    if (next === undefined) return undefined
    here = next
  }
  return here
}

/** As EC2 has it, folders end with a slash, and each key is listed with a name. */
function listOf(folder: Tree, names: readonly string[]): string {
  if (names.at(-1) === 'public-keys')
    return Object.keys(folder)
      .map((index) => `${index}=key-${index}`)
      .join('\n')
  return Object.entries(folder)
    .map(([name, content]) => (typeof content === 'string' ? name : `${name}/`))
    .join('\n')
}
