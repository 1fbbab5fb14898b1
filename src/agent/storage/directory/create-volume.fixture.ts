/** Makes one volume on a directory storage and ends; the test kills it in the middle. Arguments: storage, base, cgroup, volume id. */
import { volumeIdSchema } from '../../../model/ids.ts'
import { createDirectoryStorage } from './directory-storage.ts'

const [path = '', basePath = '', cgroupDirectory = '', id] = process.argv.slice(2)
const storage = createDirectoryStorage({ path, shared: true, hostName: 'a' })
const base = { version: 'tiny-1', path: basePath }
process.stdout.write('begins\n')
await storage.createVolume({ volumeId: volumeIdSchema.parse(id), format: 'qcow2', sizeMiB: 128, base, cgroupDirectory })
