/** What the disks of a machine may do together: one throttle group of QEMU. A disk that comes later has to be put into it. */
import type { Limits } from '../../../model/growth.ts'
import { blockQueryTimeoutMs } from './block-nodes.ts'
import type { QmpLine } from './qmp-session.ts'

const group = 'machine'

export async function limitDisks(
  line: QmpLine,
  { diskIops, diskMiBPerSecond }: Pick<Limits, 'diskIops' | 'diskMiBPerSecond'>,
): Promise<void> {
  const [iops, bps] = [diskIops ?? 0, (diskMiBPerSecond ?? 0) * 2 ** 20]
  const none = { iops_rd: 0, iops_wr: 0, bps_rd: 0, bps_wr: 0 }
  for (const { qdev, inserted } of await line.execute('query-block', {}, blockQueryTimeoutMs)) {
    if (qdev === undefined || inserted === undefined || !/(?:^|\/)disk-/.test(qdev)) continue
    if (inserted.iops === iops && inserted.bps === bps) continue
    await line.execute('block_set_io_throttle', { id: qdev, iops, bps, ...none, group }, blockQueryTimeoutMs)
  }
}
