/** Readers of option values. Each throws commander's error with a sentence that says what is wrong. */
import { InvalidArgumentError } from 'commander'
import { parseSeconds } from '../model/age.ts'
import { parseSize } from '../model/byte-size.ts'

/** A size in MiB. */
export function sizeOption(text: string): number {
  const size = parseSize(text)
  if (size.kind === 'nonsense') throw new InvalidArgumentError(size.why)
  return size.mebibytes
}

/** A whole number that is not negative. */
export function wholeNumberOption(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError(`It has to be a whole number; '${text}' is not one.`)
  return Number(text)
}

/** A time in seconds. */
export function secondsOption(text: string): number {
  const seconds = parseSeconds(text)
  if (seconds === null) throw new InvalidArgumentError(`A time is written like 90, 90s or 2m; '${text}' is not one.`)
  return seconds
}

export type DiskOption = { readonly sizeMiB: number; readonly format: 'qcow2' | 'raw' }

/** `64MiB`, `2G,raw`: repeatable. */
export function diskOption(text: string, previous: readonly DiskOption[] = []): readonly DiskOption[] {
  const [size = '', format = 'qcow2', ...rest] = text.split(',')
  if ((format !== 'qcow2' && format !== 'raw') || rest.length > 0) {
    throw new InvalidArgumentError(`A disk is written like 64MiB or 64MiB,raw; '${text}' is not one.`)
  }
  return [...previous, { sizeMiB: sizeOption(size), format }]
}

export type Parameters = Readonly<Record<string, string>>

/** `name=value`: repeatable. */
export function parameterOption(text: string, previous: Parameters = {}): Parameters {
  const match = /^([a-z_]+)=([^\n]*)$/.exec(text)
  if (match === null) throw new InvalidArgumentError(`A parameter is written like ip=10.0.0.9; '${text}' is not one.`)
  const [, name = '', value = ''] = match
  return { ...previous, [name]: value }
}

/** A name or an id: repeatable. */
export function nameOption(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, text]
}

/** One of these words. */
export function choiceOption<Choice extends string>(choices: readonly Choice[]): (text: string) => Choice {
  return (text) => {
    const choice = choices.find((word) => word === text)
    if (choice === undefined) throw new InvalidArgumentError(`It has to be one of ${choices.join(', ')}.`)
    return choice
  }
}

export type NicOption = { readonly network: string; readonly address?: string }

/** `dev` or `dev,address=10.5.0.9`: repeatable. */
export function nicOption(text: string, previous: readonly NicOption[] = []): readonly NicOption[] {
  const [, network, address] = /^([^,=]+)(?:,address=([0-9.]+))?$/.exec(text) ?? []
  if (network === undefined)
    throw new InvalidArgumentError(`A network is written like dev or dev,address=10.5.0.9; '${text}' is not one.`)
  return [...previous, { network, ...(address === undefined ? {} : { address }) }]
}
