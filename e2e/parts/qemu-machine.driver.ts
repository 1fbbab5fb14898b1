/** An agent of an earlier life: starts the machine that its first argument defines (JSON), says its pid, and waits to be killed. */
import { createQemuHypervisor } from '../../src/agent/hypervisor/qemu/qemu-hypervisor.ts'

const definition = JSON.parse(process.argv[2] ?? '{}')
const machine = await createQemuHypervisor({ cacheDirectory: definition.runDirectory }).start(definition)
await machine.resume()
process.stdout.write(`${machine.pid}\n`)
setInterval(() => undefined, 60_000)
