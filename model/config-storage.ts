import { z } from 'zod'
import { absolutePath, choice, duration, integer, leaf, section, size, switchLeaf, text } from './config-leaves.ts'
import { isTree, type Tree } from './config-tree.ts'
import { parseSize } from './units.ts'

const MOST_TAGS = 10
const bucketName = text('a bucket; write its name alone: backups', /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/, {
  isText: true,
})
const prefix = text(
  'a path in the bucket; write prod/mysql: parts joined by /, none that starts with a dot',
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it refuses
  /^(?!.{513})[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*(\/[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*)*$/,
  { isText: true },
)
// Never shown: people put credentials into addresses.
const endpoint = leaf('an address without anything after it; write https://s3.example.com', readEndpoint, {
  isSecret: true,
})
const apiEndpoint = leaf('an address without anything after it; write http://127.0.0.1:4443', readEndpoint, {
  isSecret: true,
})
const encryption = leaf(
  'how the store encrypts; write s3, { kms: <key id> } or { customerKeyFile: <absolute path> }, or leave it out: as the bucket says',
  readEncryption,
)
const tags = leaf(`at most ${MOST_TAGS} tags; write { team: databases }`, readTags)

const timeout = duration.refine((milliseconds) => milliseconds >= 1_000, { error: 'long enough; write 1s or more' })

/** How a store of Amazon S3's protocol encrypts what it stores: with its own key, with one of KMS, or with one that we send. */
export type S3Encryption =
  | { readonly kind: 's3' }
  | { readonly kind: 'kms'; readonly keyId: string }
  | { readonly kind: 'customer'; readonly keyFile: string }

const s3Keys = {
  root: prefix.exactOptional(),
  region: text('a region; write eu-central-1', /^[a-z0-9][a-z0-9-]*$/, { isText: true }).exactOptional(),
  pathStyle: switchLeaf,
  encryption: encryption.exactOptional(),
  storageClass: text('a storage class; write STANDARD_IA', /^[A-Za-z0-9][A-Za-z0-9_-]*$/).exactOptional(),
  tags: tags.exactOptional(),
  partSize: size('a size from 5MiB to 512MiB; write 8MiB', parseSize('5MiB'), parseSize('512MiB')),
  maxParts: integer('a number of parts of one object; write 100 to 10000', 100, 10_000),
  equalParts: switchLeaf,
  conditionalWrites: switchLeaf,
  checksums: switchLeaf,
  signPayload: choice('auto', 'always'),
  connectTimeout: timeout,
  stallTimeout: timeout,
}

const NO_BUCKET = 'the bucket, or bucketPerKeyspace: true for the layout of Vitess: one of the two'

const KINDS = 'file, s3, ceph, gcs, module'

/** Where backups are kept, with everything said (`STORAGE_DEFAULTS`). */
export const storageSchema = z.discriminatedUnion(
  'kind',
  [
    section({ kind: z.literal('file'), root: absolutePath('/mnt/backups') }),
    section({ kind: z.literal('s3'), bucket: bucketName, endpoint: endpoint.exactOptional(), ...s3Keys }),
    section({
      kind: z.literal('ceph'),
      bucket: bucketName.exactOptional(),
      bucketPerKeyspace: switchLeaf,
      endpoint,
      ...s3Keys,
    }).refine(({ bucket, bucketPerKeyspace }) => (bucket === undefined) === bucketPerKeyspace, {
      path: ['bucket'],
      error: NO_BUCKET,
    }),
    section({
      kind: z.literal('gcs'),
      bucket: bucketName,
      root: prefix.exactOptional(),
      apiEndpoint: apiEndpoint.exactOptional(),
      connectTimeout: timeout,
      stallTimeout: timeout,
    }),
    section({
      kind: z.literal('module'),
      path: absolutePath('/etc/tabletkeeper/my-storage.js'),
      options: leaf('a map of what the module takes', (value) => (isTree(value) ? value : undefined)),
    }),
  ],
  {
    error: ({ code }) =>
      code === 'invalid_union'
        ? `a kind of storage; write one of ${KINDS}`
        : 'a map of keys; write { kind: file, root: /mnt/backups }',
  },
)

export type StorageConfig = z.infer<typeof storageSchema>

/** Storage of Amazon S3's protocol: `kind: s3`, and `kind: ceph`, which is the same with defaults of its own. */
export type S3Config = Extract<StorageConfig, { readonly kind: 's3' | 'ceph' }>

export type GcsConfig = Extract<StorageConfig, { readonly kind: 'gcs' }>

const TIMEOUTS = { connectTimeout: '10s', stallTimeout: '1m' } as const

const S3_DEFAULTS = {
  pathStyle: false,
  partSize: '8MiB',
  maxParts: 10_000,
  equalParts: false,
  conditionalWrites: true,
  checksums: true,
  signPayload: 'auto',
  ...TIMEOUTS,
} as const

/** Values of keys that `storage` does not say, by its kind. */
export const STORAGE_DEFAULTS: Readonly<Record<string, Tree>> = {
  s3: S3_DEFAULTS,
  ceph: { ...S3_DEFAULTS, bucketPerKeyspace: false, pathStyle: true, region: 'us-east-1' },
  gcs: TIMEOUTS,
  module: { options: {} },
}

function readEndpoint(value: unknown): string | undefined {
  if (typeof value !== 'string' || !URL.canParse(value)) return undefined
  const { protocol, username, password, pathname, search, hash, origin } = new URL(value)
  const isBare = `${username}${password}${search}${hash}` === '' && pathname === '/'
  return (protocol === 'https:' || protocol === 'http:') && isBare ? origin : undefined
}

function readEncryption(value: unknown): S3Encryption | undefined {
  if (value === 's3') return { kind: 's3' }
  if (!isTree(value) || Object.keys(value).length !== 1) return undefined
  const { kms, customerKeyFile } = value
  if (typeof kms === 'string' && kms.trim() !== '') return { kind: 'kms', keyId: kms }
  if (typeof customerKeyFile !== 'string' || !/^\/[^\0]*$/.test(customerKeyFile)) return undefined
  return { kind: 'customer', keyFile: customerKeyFile }
}

function readTags(value: unknown): ReadonlyMap<string, string> | undefined {
  if (!isTree(value)) return undefined
  const entries = Object.entries(value)
  const tags = entries.flatMap(([key, text]) =>
    typeof text === 'string' && key.length <= 128 && text.length <= 256 ? [[key, text] as const] : [],
  )
  return tags.length === entries.length && tags.length <= MOST_TAGS ? new Map(tags) : undefined
}
