import { describeObjects } from './conformance-objects.ts'
import { describeRepository } from './conformance-repository.ts'
import { describeUploads } from './conformance-uploads.ts'
import type { MakeStore } from './store-under-test.ts'

/** What every `ObjectStore` promises, as tests of the store that `make` gives. */
export function describeObjectStore(name: string, make: MakeStore): void {
  describeObjects(name, make)
  describeUploads(name, make)
  describeRepository(name, make)
}
