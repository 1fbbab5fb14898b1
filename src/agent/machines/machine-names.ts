/** Names that the operating system sees, derived from a machine's number so that the doctor can tell whose they are. */

/** A machine has two: one for the process that runs, one for the spare that waits to take over. */
export type TapSide = 'a' | 'b'

export function tapNameOf(machineNumber: number, side: TapSide = 'a'): string {
  return side === 'a' ? `dt${machineNumber}` : `dt${machineNumber}b`
}

/** The tap of a card after the first one, whose tap has the name that is given. */
export function furtherTapName(firstTapName: string, cardNumber: number): string {
  return `${firstTapName}n${cardNumber}`
}

/** The number of the machine that a tap belongs to; undefined for a device that isn't ours. */
export function numberOfTap(tapName: string): number | undefined {
  const match = /^dt([1-9][0-9]{0,4})b?(?:n[1-7])?$/.exec(tapName)
  return match?.[1] === undefined ? undefined : Number(match[1])
}
