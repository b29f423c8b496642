import type { Config } from '../model/config.ts'
import type { ObjectStore } from './object-store.ts'

/** The store that a configuration names. Nothing is asked of it yet: whether it is there, its first call tells. */
export async function openStore(storage: Config['storage']): Promise<ObjectStore> {
  switch (storage.kind) {
    case 'file': {
      const { FileStore } = await import('./file/file.ts')
      return new FileStore(storage.root)
    }
    case 's3':
    case 'ceph': {
      if (storage.kind === 'ceph' && storage.bucketPerKeyspace) {
        const { KeyspaceBuckets } = await import('./s3/keyspace-buckets.ts')
        return new KeyspaceBuckets(storage)
      }
      const { S3Store } = await import('./s3/s3.ts')
      return new S3Store(storage)
    }
    case 'gcs': {
      const { GcsStore } = await import('./gcs/gcs.ts')
      return new GcsStore(storage)
    }
    case 'module': {
      const { openModule } = await import('./module.ts')
      return await openModule(storage)
    }
  }
}
