/** Sizes as people write them. All sizes are whole mebibytes inside. */
const mebibytesOf: Readonly<Record<string, number>> = {
  '': 1,
  m: 1,
  mib: 1,
  g: 1024,
  gib: 1024,
  t: 1024 * 1024,
  tib: 1024 * 1024,
}

export type ParsedSize =
  | { readonly kind: 'size'; readonly mebibytes: number }
  | { readonly kind: 'nonsense'; readonly why: string }

/** Reads `512MiB`, `512M`, `2GiB`, `1.5G`, `1T` or `512` (MiB); says in a sentence what is wrong with anything else. */
export function parseSize(text: string): ParsedSize {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)\s*([a-z]*)$/i.exec(text.trim())
  if (match === null) return nonsense(`A size is written like 512MiB, 2G or 512; '${text}' is not one.`)
  const [, digits = '', unit = ''] = match
  const factor = mebibytesOf[unit.toLowerCase()]
  if (factor === undefined) return nonsense(`The unit '${unit}' is not known; write MiB, GiB or TiB (or M, G, T).`)
  const mebibytes = Number(digits) * factor
  if (!Number.isInteger(mebibytes)) return nonsense(`'${text}' is not a whole number of MiB.`)
  if (mebibytes < 1) return nonsense('A size is at least 1 MiB.')
  return { kind: 'size', mebibytes }
}

/** `512 MiB`, `2 GiB`, `1.5 GiB`: the largest unit that needs at most one decimal and stays exact, MiB otherwise. */
export function formatSize(mebibytes: number): string {
  for (const [unit, factor] of [
    ['TiB', 1024 * 1024],
    ['GiB', 1024],
  ] as const) {
    const amount = mebibytes / factor
    if (amount >= 1 && Number.isInteger(amount * 10)) return `${amount} ${unit}`
  }
  return `${mebibytes} MiB`
}

/** `1.2 of 7.6 GiB`: how much of a whole is used, rounded to a tenth of the whole's unit. */
export function formatShare(usedMiB: number, wholeMiB: number): string {
  if (wholeMiB < 1024) return `${usedMiB} of ${wholeMiB} MiB`
  return `${(usedMiB / 1024).toFixed(1)} of ${(wholeMiB / 1024).toFixed(1)} GiB`
}

function nonsense(why: string): ParsedSize {
  return { kind: 'nonsense', why }
}
