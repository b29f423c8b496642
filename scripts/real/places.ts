import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { startCeph } from '../../sandbox/ceph-cluster.ts'
import { mountCow } from '../../sandbox/cow-file-system.ts'
import { startFakeGcs } from '../../sandbox/fake-gcs.ts'
import { mountFull } from '../../sandbox/full-file-system.ts'
import { mountSshfs } from '../../sandbox/sshfs-mount.ts'
import { type S3Keys, startVersitygw } from '../../sandbox/versitygw.ts'

/** A place for backups, and how it is used. */
export interface Place extends AsyncDisposable {
  /** Environment of who uses it. */
  readonly exports?: Readonly<Record<string, string>>
  /** Keys and values of `storage` in the configuration. */
  readonly storage: Readonly<Record<string, string>>
  readonly note?: string
}

const BUCKET = 'backups'
/** Room for the sample shard and more. */
const XFS_MEGABYTES = 8_000
const ROOM_MEBIBYTES = 16

/** What `npm run real:<name>` starts. */
export const PLACES: ReadonlyMap<string, () => Promise<Place>> = new Map<string, () => Promise<Place>>([
  ['versitygw', async () => s3Place('s3', await startVersitygw())],
  ['ceph', async () => s3Place('ceph', await startCeph())],
  ['gcs', gcsPlace],
  ['sshfs', sshfsPlace],
  ['xfs', async () => filePlace(await mountCow(XFS_MEGABYTES))],
  [
    'full',
    async () => {
      const place = filePlace(await mountFull(ROOM_MEBIBYTES))
      return { ...place, note: `it has room for ${ROOM_MEBIBYTES} MiB: a backup that is larger ends with StorageFull` }
    },
  ],
])

interface S3Server extends AsyncDisposable {
  readonly endpoint: string
  readonly keys: S3Keys
}

async function s3Place(kind: 's3' | 'ceph', server: S3Server): Promise<Place> {
  const { endpoint, keys } = server
  const client = new S3Client({ endpoint, region: 'us-east-1', credentials: keys, forcePathStyle: true })
  try {
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }))
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  } finally {
    client.destroy()
  }
  return {
    exports: { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey },
    storage: {
      kind,
      bucket: BUCKET,
      endpoint,
      ...(kind === 's3' ? { region: 'us-east-1', pathStyle: 'true' } : {}),
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

async function gcsPlace(): Promise<Place> {
  const server = await startFakeGcs()
  await server.makeBucket(BUCKET)
  return {
    storage: { kind: 'gcs', bucket: BUCKET, apiEndpoint: server.endpoint },
    note: `without apiEndpoint, export STORAGE_EMULATOR_HOST=${server.endpoint} does the same; no credentials are asked for`,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

async function sshfsPlace(): Promise<Place> {
  const mount = await mountSshfs({ hosts: 2 })
  const [first = '', second = ''] = mount.hosts
  return {
    storage: { kind: 'file', root: first },
    note: `a second host has the same directory at ${second}, their server at ${mount.server}`,
    [Symbol.asyncDispose]: () => mount[Symbol.asyncDispose](),
  }
}

function filePlace(mounted: AsyncDisposable & { readonly path: string }): Place {
  return {
    storage: { kind: 'file', root: mounted.path },
    [Symbol.asyncDispose]: () => mounted[Symbol.asyncDispose](),
  }
}
