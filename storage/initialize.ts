import { isError, TabletkeeperError } from '../model/errors.ts'
import type { ShardName } from '../model/shard-name.ts'
import type { ObjectStore } from './object-store.ts'

/** What `initializeRepository` found or did; an id of null is that of a repository which Vitess alone has written to. */
export interface Initialized {
  readonly outcome: 'made' | 'ready already'
  readonly id: string | null
}

/**
 * Makes what stands at the root a repository, if it is empty, and leaves nothing there but its marker: an upload is begun, which by the
 * contract of stores makes a new repository ready, and nothing is uploaded.
 * @param shard where the upload would be. With a bucket for each keyspace the bucket of its keyspace is made, which gets the marker
 * @throws InvalidConfig when the root does not exist, or holds something else; StorageDenied and its like
 */
export async function initializeRepository(store: ObjectStore, shard: ShardName): Promise<Initialized> {
  const found = await store.repository()
  if (found.state === 'ready') return { outcome: 'ready already', id: found.id }
  // Of its own, so that no backup that begins just now is disturbed.
  const directory = `${shard}/tabletkeeper-init/`
  await store.upload(directory)
  try {
    await store.abortUploads(directory)
  } catch (error) {
    // The repository is there. Who may not clean up has left nothing either: an empty directory at most.
    if (!isError(error, 'StorageDenied')) throw error
  }
  const made = await store.repository()
  if (made.state === 'ready') return { outcome: 'made', id: made.id }
  throw new TabletkeeperError(
    'StorageUnavailable',
    `${store.description} is still no repository after its marker was written`,
  )
}
