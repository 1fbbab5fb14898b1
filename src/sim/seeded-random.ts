/** The only chance in a simulated world: the same seed gives the same numbers. sfc32, seeded by splitmix. */

export type SeededRandom = {
  /** From 0 to below 1. */
  next(): number
  /** A number between these, both included for whole numbers. */
  between(least: number, most: number): number
  whole(least: number, most: number): number
  chance(share: number): boolean
  /** One of them; they must not be none. */
  pick<T>(choices: readonly T[]): T
  bytes(count: number): Uint8Array
  /** Chance of its own, so that what is drawn here shifts nothing elsewhere. */
  fork(name: string): SeededRandom
}

export function createSeededRandom(seed: number, path = ''): SeededRandom {
  let state = hash(`${seed} ${path}`)
  const seedWord = () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) | 0
  }
  let [a, b, c, counter] = [seedWord(), seedWord(), seedWord(), 1]
  const word = () => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + sum) | 0
    return sum >>> 0
  }
  for (let turn = 0; turn < 12; turn += 1) word()

  const next = () => word() / 2 ** 32
  const whole = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
  return {
    next,
    between: (least, most) => least + next() * (most - least),
    whole,
    chance: (share) => next() < share,
    pick(choices) {
      const choice = choices[whole(0, choices.length - 1)]
      if (choice === undefined) throw new Error('nothing to pick from')
      return choice
    },
    bytes: (count) => Uint8Array.from({ length: count }, () => word() & 255),
    fork: (name) => createSeededRandom(seed, `${path}/${name}`),
  }
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const letter of text) value = Math.imul(value ^ (letter.codePointAt(0) ?? 0), 0x01000193)
  return value | 0
}
