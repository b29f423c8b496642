import { describeObjects } from './objects.ts'
import { describeRepository } from './repository.ts'
import type { MakeStore } from './store-under-test.ts'
import { describeUploads } from './uploads.ts'

export type { MakeStore, StoreUnderTest } from './store-under-test.ts'

/** What every `ObjectStore` promises, as tests of vitest: call it in a test file. `make` gives the store that is tested. */
export function describeObjectStore(name: string, make: MakeStore): void {
  describeObjects(name, make)
  describeUploads(name, make)
  describeRepository(name, make)
}
