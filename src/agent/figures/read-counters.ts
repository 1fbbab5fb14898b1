/** The kernel's files of counters as numbers. Pure: what they look like is in the tests. What is missing counts as nothing. */

/** `usage_usec` of a cgroup's `cpu.stat`. */
export function cpuMsOfCgroup(text: string): number {
  return Number(/^usage_usec (\d+)$/m.exec(text)?.[1] ?? 0) / 1000
}

/** Busy time of all processors together, of `/proc/stat`, which counts in hundredths of a second. */
export function cpuMsOfHost(text: string): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = numbersAfter(text, /^cpu /m)
  return (user + nice + system + irq + softirq + steal) * 10
}

/** What is in use for good: without caches that the kernel would give back. */
export function memoryMiBOfHost(text: string): number {
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0)
  return (field('MemTotal') - field('MemAvailable')) / 1024
}

/** Resident memory, of `/proc/PID/statm`: its second figure, in pages of 4 KiB. */
export function memoryMiBOfProcess(text: string): number {
  return (Number(text.split(' ')[1] ?? 0) * 4) / 1024
}

/** What a process has had read from and written to storage, of `/proc/PID/io`. */
export function diskKiBOfProcess(text: string): { readonly read: number; readonly written: number } {
  const field = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1] ?? 0) / 1024
  return { read: field('read_bytes'), written: field('write_bytes') }
}

/** Whole disks only: partitions, loops and what lies on other disks would be counted twice. Sectors are of 512 bytes. */
export function diskKiBOfHost(text: string): { readonly read: number; readonly written: number } {
  let [read, written] = [0, 0]
  for (const line of text.split('\n')) {
    const [, , name = '', , , sectorsRead, , , , sectorsWritten] = line.trim().split(/\s+/)
    if (!/^(?:sd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+)$/.test(name)) continue
    read += Number(sectorsRead) / 2
    written += Number(sectorsWritten) / 2
  }
  return { read, written }
}

/** Of each interface, of `/proc/net/dev`: what came in over it and what went out. */
export function trafficKiB(text: string): ReadonlyMap<string, { readonly in: number; readonly out: number }> {
  const found = new Map<string, { in: number; out: number }>()
  for (const line of text.split('\n')) {
    const match = /^\s*([^:\s]+):\s*(.*)$/.exec(line)
    if (match?.[1] === undefined || match[2] === undefined) continue
    const fields = match[2].split(/\s+/).map(Number)
    found.set(match[1], { in: (fields[0] ?? 0) / 1024, out: (fields[8] ?? 0) / 1024 })
  }
  return found
}

/** Loops, taps, segments of ours and whatever stands for another interface: what passes them passes a port as well. */
const notPorts = /^(?:lo$|dt|bond|br|virbr|docker|ifb|dummy|vxlan)|\./

/** Over a host's ports; over its bridge where there is none to be seen. */
export function trafficOfHost(
  interfaces: ReturnType<typeof trafficKiB>,
  bridge: string,
): { readonly in: number; readonly out: number } {
  const ports = [...interfaces].filter(([name]) => name !== bridge && !notPorts.test(name))
  const counted = ports.length > 0 ? ports : [...interfaces].filter(([name]) => name === bridge)
  return counted.reduce((sum, [, one]) => ({ in: sum.in + one.in, out: sum.out + one.out }), { in: 0, out: 0 })
}

/** Of a machine by its taps: what the host sends into one is what the machine is sent. */
export function trafficOfTaps(
  interfaces: ReturnType<typeof trafficKiB>,
  tapNames: readonly string[],
): { readonly in: number; readonly out: number } {
  const taps = tapNames.flatMap((name) => interfaces.get(name) ?? [])
  return taps.reduce((sum, one) => ({ in: sum.in + one.out, out: sum.out + one.in }), { in: 0, out: 0 })
}

function numbersAfter(text: string, start: RegExp): readonly number[] {
  const from = start.exec(text)
  if (from === null) return []
  const line = text.slice(from.index + from[0].length).split('\n', 1)[0] ?? ''
  return line.trim().split(/\s+/).map(Number)
}
