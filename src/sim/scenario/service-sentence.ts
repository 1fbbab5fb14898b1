/** A service in one line: `cache; worker needs cache; web x2 after worker; recovers warm; cell back: cache worker`. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import { memberName } from '../../model/service/service.ts'
import { type ServiceFileInput, serviceFileSchema } from '../../model/service/service-file.ts'
import type { WorkloadItem } from '../world/world.ts'

type Wish = { -readonly [Field in keyof ServiceFileInput]: ServiceFileInput[Field] }

/** The request that applies it, and the machines that it will have. Throws `invalid-input` for a part that says nothing. */
export function readService(
  service: string,
  text: string,
): { readonly item: WorkloadItem; readonly vms: readonly string[] } {
  const wish: Wish = { service, components: {} }
  for (const part of text.split(';')) readPart(wish, part.trim())
  const file = serviceFileSchema.parse(wish)
  const vms = Object.entries(file.components).flatMap(([name, { replicas }]) =>
    Array.from({ length: replicas }, (_, index) => memberName(service, name, index + 1)),
  )
  return { item: { call: 'applyService', body: { file: wish } }, vms }
}

function readPart(wish: Wish, part: string): void {
  const cell = /^cell ([a-z0-9-]+): ([a-z0-9 -]+)$/.exec(part)
  if (part === 'recovers warm') wish.recovery = 'warm'
  else if (cell !== null) {
    const group = { name: cell[1] ?? '', components: cell[2]?.split(' ') ?? [] }
    wish.groups = [...(wish.groups ?? []), group]
  } else {
    const [, name, replicas = '1', needs, startsAfter] =
      /^([a-z][a-z0-9-]*)(?: x(\d+))?(?: needs ([a-z0-9 -]+?))?(?: after ([a-z0-9 -]+))?$/.exec(part) ?? []
    if (name === undefined) throw new DialtoneError('invalid-input', `"${part}" can't be said of a service`)
    const component = { template: 'tiny', replicas: Number(replicas), ...listOf({ needs, startsAfter }) }
    wish.components = { ...wish.components, [name]: component }
  }
}

function listOf(fields: Readonly<Record<'needs' | 'startsAfter', string | undefined>>) {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([field, names]) => (names === undefined ? [] : [[field, names.split(' ')]])),
  )
}
