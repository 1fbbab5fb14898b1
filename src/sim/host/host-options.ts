/** What a simulated host is, and what it finds around it. */
import type { HostSpec } from '../../model/host.ts'
import type { Logger } from '../../model/logger.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { WorldTime } from '../time/world-time.ts'
import type { AgentProcessOptions } from './agent-process.ts'
import type { GuestSurroundings } from './guest.ts'

export type HostOptions = {
  readonly spec: HostSpec
  readonly memoryMiB: number
  readonly cpus: number
  readonly hasHardwareWatchdog: boolean
  /** How fast its clock runs. */
  readonly clockRate: number
  readonly time: WorldTime
  readonly random: SeededRandom
  loggerOf(process: 'agent' | 'watchdog' | 'host'): Logger
  /** What had not left the host when it lost power is gone. */
  forgetSent(): void
} & Pick<AgentProcessOptions, 'openStorage' | 'post' | 'openStreamTo' | 'openDiskStreamTo'> &
  Pick<GuestSurroundings, 'disks' | 'storageOf' | 'mayLose' | 'observe'>
