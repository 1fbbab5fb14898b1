/** The environment of the laboratory's programs: what they need and nothing that the caller's terminal happens to have. */
import { dirname, join } from 'node:path'

const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const passedOn = /^(?:DIALTONE_\w+|LANG|LC_\w+|TZ)$/

/** With this Node first in the PATH, so that fence agents written for it find it, and compiled sources remembered. */
export function programEnvironment(
  callers: Readonly<Record<string, string | undefined>>,
  home: string,
): Record<string, string> {
  const kept = Object.entries(callers).flatMap(([key, value]) =>
    value !== undefined && passedOn.test(key) ? [[key, value] as const] : [],
  )
  return {
    ...Object.fromEntries(kept),
    HOME: '/root',
    PATH: `${dirname(process.execPath)}:${systemPath}`,
    NODE_COMPILE_CACHE: join(home, 'cache', 'node'),
    // A small young generation keeps each process some 10 MiB smaller; none of them makes garbage fast.
    NODE_OPTIONS: '--max-semi-space-size=2',
    // File calls on a storage that hangs hold a thread each: the slots of other storages still have to be read.
    UV_THREADPOOL_SIZE: '16',
  }
}
