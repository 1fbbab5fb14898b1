/** IPv6 addresses in a network's prefix: its machines' and its router's. */

/** What a machine makes of the prefix, such as fd00:5::/64, and its MAC (RFC 4291, modified EUI-64). */
export function addressFromMac(prefix6: string, macAddress: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macAddress.split(':').map((part) => Number.parseInt(part, 16))
  const words = [((a ^ 0x02) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f]
  return [...prefixWords(prefix6), ...words].map((word) => word.toString(16)).join(':')
}

/** The address of the network's router: the first of the prefix. */
export function routerAddress6(prefix6: string): string {
  return [...prefixWords(prefix6), 0, 0, 0, 1].map((word) => word.toString(16)).join(':')
}

function prefixWords(prefix6: string): number[] {
  const [address = ''] = prefix6.split('/')
  const [left = '', right = ''] = address.split('::')
  const words = (text: string) => (text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16)))
  const [before, after] = [words(left), words(right)]
  const zeros = address.includes('::') ? 8 - before.length - after.length : 0
  return [...before, ...Array<number>(zeros).fill(0), ...after].slice(0, 4)
}
