import { storeContract } from '../store.contract.ts'
import { openMemoryStore } from './memory-store.ts'

storeContract('memory', {
  isDurable: false,
  createFixture: async () => ({
    open: async (options) => openMemoryStore(options),
    [Symbol.asyncDispose]: async () => undefined,
  }),
})
