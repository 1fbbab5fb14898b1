/** Names that the operating system sees, derived from a machine's number so that the doctor can tell whose they are. */

export function tapNameOf(machineNumber: number): string {
  return `dt${machineNumber}`
}

/** The number of the machine that a tap belongs to; undefined for a device that isn't ours. */
export function numberOfTap(tapName: string): number | undefined {
  const match = /^dt([1-9][0-9]{0,4})$/.exec(tapName)
  return match?.[1] === undefined ? undefined : Number(match[1])
}
