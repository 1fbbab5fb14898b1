/** What a machine has: processors, memory, disks, cards, limits, and its name. */
import assert from 'node:assert/strict'
import type { VmView } from '../../src/model/api/views.ts'
import type { Before, Operation } from './operation.ts'
import type { Subject } from './subject.ts'

const otherName = 'renamed'
const side = 'side'
type Size = Pick<VmView, 'cpus' | 'memoryMiB'>

export const hardwareOperations = {
  'vm rename': {
    ask: ({ api, name }) => api.call('nameVm', { params: { vm: name }, body: { name: otherName } }),
    async check({ api, name }) {
      // Whoever looks at it next knows it by its old name.
      assert.equal((await api.call('nameVm', { params: { vm: otherName }, body: { name } })).name, name)
    },
  },
  'vm tag': {
    ask: ({ api, name }) => api.call('tagVm', { params: { vm: name }, body: { add: ['tried'] } }),
    check: async ({ look }) => assert.deepEqual((await look()).tags, ['tried']),
    tidy: async ({ api, name }) =>
      void (await api.call('tagVm', { params: { vm: name }, body: { remove: ['tried'] } })),
  },
  'vm set --limit': {
    ask: ({ api, name }) => api.call('changeVm', { params: { vm: name }, body: { limits: { diskIops: 5_000 } } }),
    async check(subject, before) {
      assert.equal((await subject.look()).limits.diskIops, 5_000)
      await isFitted(subject, before)
    },
    tidy: async ({ api, name }) =>
      void (await api.call('changeVm', { params: { vm: name }, body: { limits: { diskIops: null } } })),
  },
  'vm set --memory, more': resize(({ memoryMiB }) => ({ memoryMiB: memoryMiB + 64 })),
  'vm set --memory, less': resize(({ memoryMiB }) => ({ memoryMiB: memoryMiB - 32 })),
  'vm set --cpus, more': resize(({ cpus }) => ({ cpus: cpus + 1 })),
  'vm set --cpus, fewer': {
    ...resize(({ cpus }) => ({ cpus: cpus - 1 })),
    async prepare(subject) {
      await subject.api.call('changeVm', { params: { vm: subject.name }, body: { cpus: 2, force: true } })
      if ((await subject.look()).status.state === 'running') await subject.fitted()
    },
  },
  'vm disk attach': {
    ask: ({ api, name }) => api.call('attachDisk', { params: { vm: name }, body: { sizeMiB: 48 } }),
    check: (subject, before) => guestHas(subject, before, '48'),
    tidy: removeDisk,
  },
  'vm disk resize': {
    prepare: addDisk,
    ask: async ({ api, name, look }) =>
      api.call('resizeDisk', { params: { vm: name, disk: lastDisk(await look()) }, body: { sizeMiB: 56 } }),
    check: (subject, before) => guestHas(subject, before, '56'),
    tidy: removeDisk,
  },
  'vm disk detach': {
    prepare: addDisk,
    ask: async ({ api, name, look }) =>
      api.call('detachDisk', { params: { vm: name, disk: lastDisk(await look()) }, query: { delete: 'true' } }),
    async check({ look, shape }, { isOff }) {
      assert(!(await look()).disks.some(isTriedOut))
      if (!isOff) assert.doesNotMatch((await shape()).diskSizesMiB, /\b48\b/)
    },
    tidy: removeDisk,
  },
  'vm nic attach': {
    ask: ({ api, name }) => api.call('addNic', { params: { vm: name }, body: { network: side } }),
    async check(subject, before) {
      assert.equal((await subject.look()).nics.length, 2)
      await isFitted(subject, before)
    },
    tidy: removeCard,
  },
  'vm nic detach': {
    prepare: async (subject) => {
      await subject.api.call('addNic', { params: { vm: subject.name }, body: { network: side } })
      if ((await subject.look()).status.state === 'running') await subject.fitted()
    },
    ask: ({ api, name }) => api.call('removeNic', { params: { vm: name, nic: side } }),
    check: async ({ look }) => assert.equal((await look()).nics.length, 1),
    tidy: removeCard,
  },
} as const satisfies Readonly<Record<string, Operation>>

/** Back to what it was afterwards, as far as that is there at once. */
function resize(wish: (size: Size) => Partial<Size>): Operation {
  let size: Size | undefined
  return {
    async ask({ api, name, look }) {
      const { cpus, memoryMiB } = await look()
      size = { cpus, memoryMiB }
      return api.call('changeVm', { params: { vm: name }, body: { ...wish(size), force: true } })
    },
    check: isFitted,
    async tidy(subject) {
      if (size === undefined) return
      await subject.api.call('changeVm', { params: { vm: subject.name }, body: { ...size, force: true } })
      if ((await subject.look()).status.state === 'running') await subject.fitted()
      size = undefined
    },
  }
}

async function isFitted(subject: Subject, { isOff }: Pick<Before, 'isOff'>): Promise<void> {
  if (!isOff) await subject.fitted()
}

type Disk = VmView['disks'][number]
const isTriedOut = ({ sizeMiB }: Disk): boolean => sizeMiB === 48 || sizeMiB === 56

function lastDisk({ disks }: VmView): string {
  return disks.find(isTriedOut)?.volumeId ?? '9'
}

async function addDisk(subject: Subject): Promise<void> {
  await subject.done(subject.api.call('attachDisk', { params: { vm: subject.name }, body: { sizeMiB: 48 } }))
}

async function removeDisk(subject: Subject): Promise<void> {
  const vm = await subject.look()
  if (!vm.disks.some(isTriedOut)) return
  const params = { vm: subject.name, disk: lastDisk(vm) }
  await subject.done(subject.api.call('detachDisk', { params, query: { delete: 'true' } }))
}

async function removeCard(subject: Subject): Promise<void> {
  if ((await subject.look()).nics.length > 1)
    await subject.done(subject.api.call('removeNic', { params: { vm: subject.name, nic: side } }))
}

async function guestHas(subject: Subject, { isOff }: Before, sizeMiB: string): Promise<void> {
  assert((await subject.look()).disks.some((disk) => `${disk.sizeMiB}` === sizeMiB))
  if (isOff) return
  await subject.fitted()
  await subject.until(`its guest has a disk of ${sizeMiB} MiB`, async () =>
    (await subject.shape()).diskSizesMiB.split(' ').includes(sizeMiB),
  )
}
