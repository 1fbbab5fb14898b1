/** How QEMU wants an option written: `first,name=value,…`. Pure. */

type Properties = { readonly [name: string]: string | boolean | Properties }

export function properties(first: string, entries: Properties): string {
  const rest = pairs(entries)
  return rest === '' ? first : `${first},${rest}`
}

/** A comma inside of a value is doubled; what is inside of a property is written with a dot. */
export function pairs(entries: Properties): string {
  return Object.entries(entries)
    .map(([name, value]) => {
      if (typeof value === 'boolean') return `${name}=${value ? 'on' : 'off'}`
      if (typeof value === 'string') return `${name}=${escapeValue(value)}`
      return pairs(Object.fromEntries(Object.entries(value).map(([inner, it]) => [`${name}.${inner}`, it])))
    })
    .join(',')
}

export function escapeValue(value: string): string {
  return value.replaceAll(',', ',,')
}

export function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`
}
