import { z } from 'zod'
import { isError, messageOf, TabletkeeperError } from '../../model/errors.ts'

/** What was being done, for messages and hints. */
export interface Doing {
  /** Reads on after "cannot": `store commerce/0/x/1`. */
  readonly doing: string
  /** The permission that it takes: `storage.objects.create`. */
  readonly permission: string
}

/** Fields of the head of an answer, their names in small letters. */
export type Fields = Readonly<Record<string, string | readonly string[] | undefined>>

export interface GcsAnswer {
  readonly status: number
  readonly headers: Fields
  readonly text: string
}

const UNAVAILABLE = 'Look whether Google Cloud Storage answers: its status page, and the network on the way to it.'
const NO_CREDENTIALS =
  'Give this host a service account, or set GOOGLE_APPLICATION_CREDENTIALS to the file of one; by hand: gcloud auth application-default login'
const NO_SCOPE =
  'The instance or node pool was made without the scope storage-rw, so that its tokens may not do this, whatever roles its account has. Stop the instance and set it (gcloud compute instances set-service-account NAME --scopes=storage-rw), or make a node pool with --scopes=storage-rw, or use Workload Identity.'
const RETAINED = 'A retention policy or a hold of the bucket keeps this object: nobody can replace or remove it yet.'

/** Reasons of a 403 that mean "slower". */
const RATE_LIMITS: ReadonlySet<string> = new Set(['rateLimitExceeded', 'userRateLimitExceeded'])
const RETENTION: ReadonlySet<string> = new Set(['retentionPolicyNotMet', 'objectUnderActiveHold'])

const errorBody = z.object({
  error: z.object({
    message: z.string().optional(),
    errors: z.array(z.object({ reason: z.string().optional(), message: z.string().optional() })).optional(),
  }),
})

/** What the JSON API says of a failure. https://cloud.google.com/storage/docs/json_api/v1/status-codes */
interface Said {
  readonly message: string
  readonly reason: string
}

function said(text: string): Said {
  try {
    const { message, errors } = errorBody.parse(JSON.parse(text)).error
    return { message: message ?? errors?.[0]?.message ?? '', reason: errors?.[0]?.reason ?? '' }
  } catch {
    // Media and uploads are answered with bare sentences, proxies in between with whole pages.
    return { message: /^\s*</.test(text) ? '' : text.slice(0, 300).trim(), reason: '' }
  }
}

/** Whether the same request may go well a moment later. */
export function isTransient({ status, text = '' }: { readonly status: number; readonly text?: string }): boolean {
  return status === 408 || status === 429 || status >= 500 || (status === 403 && RATE_LIMITS.has(said(text).reason))
}

/** Whether what was sent is not what arrived. */
export function isDamaged({ status, text }: GcsAnswer): boolean {
  return status === 400 && /crc32c|md5|checksum/i.test(said(text).message)
}

/** What an answer that is not the wanted one means. */
export function answerError(
  store: string,
  { doing, permission }: Doing,
  answer: { readonly status: number; readonly headers: Fields; readonly text?: string },
): TabletkeeperError {
  const { status, headers, text = '' } = answer
  const { message, reason } = said(text)
  const failed = `cannot ${doing} in ${store}: ${message === '' ? 'it answered' : message} (${status})`
  if (isTransient(answer)) return new TabletkeeperError('StorageUnavailable', failed, { hint: UNAVAILABLE })
  if (status === 401) return new TabletkeeperError('StorageDenied', failed, { hint: NO_CREDENTIALS })
  if (status === 403) {
    const hint = RETENTION.has(reason)
      ? RETAINED
      : lacksScope(headers, message, reason)
        ? NO_SCOPE
        : roleHint(store, message, permission)
    return new TabletkeeperError('StorageDenied', failed, { hint })
  }
  if (status === 404) {
    return new TabletkeeperError('InvalidConfig', failed, {
      hint: 'Set storage.bucket to a bucket that exists: gcloud storage buckets list',
    })
  }
  return new TabletkeeperError('StorageUnavailable', failed, { hint: UNAVAILABLE })
}

/** Three ways to say it: in a field of the head, in a sentence, by a reason. */
function lacksScope(headers: Fields, message: string, reason: string): boolean {
  return (
    /insufficient_scope/.test(String(headers['www-authenticate'])) ||
    /scope\(s\) are not authorized|insufficient authentication scopes/i.test(message) ||
    reason === 'insufficientPermissions'
  )
}

/** The answer names the account and the permission that it lacks; where it does not, we know what we asked for. */
function roleHint(store: string, message: string, permission: string): string {
  const [, account, lacking = permission] = /^(\S+@\S+) does not have (storage\.[a-zA-Z.]+) access/.exec(message) ?? []
  const bucket = store.split('/').slice(0, 3).join('/')
  const who = account === undefined ? 'the service account of this host' : account
  const role = lacking === 'storage.objects.get' || lacking === 'storage.objects.list' ? 'objectViewer' : 'objectUser'
  return `Give ${who} a role with ${lacking}: gcloud storage buckets add-iam-policy-binding ${bucket} --member=serviceAccount:${account ?? 'ACCOUNT'} --role=roles/storage.${role}`
}

/** What a request that got no answer means; errors of ours stay as they are. */
export function transportError(store: string, { doing }: Doing, error: unknown): TabletkeeperError {
  if (isError(error)) return error
  return new TabletkeeperError('StorageUnavailable', `cannot ${doing} in ${store}: ${messageOf(error)}`, {
    hint: UNAVAILABLE,
    cause: error,
  })
}

/** Why no token was to be had: there are no credentials or they are not accepted, unless who gives them does not answer. */
export function credentialsError(store: string, error: unknown): TabletkeeperError {
  const status =
    error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : undefined
  const isMomentary = (status !== undefined && isTransient({ status })) || (status === undefined && isOfNetwork(error))
  return new TabletkeeperError(
    isMomentary ? 'StorageUnavailable' : 'StorageDenied',
    `no credentials for ${store}: ${messageOf(error)}`,
    { hint: NO_CREDENTIALS, cause: error },
  )
}

const OF_NETWORK: ReadonlySet<unknown> = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ETIMEDOUT',
  'EPIPE',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
])

function isOfNetwork(error: unknown): boolean {
  return error instanceof Error && 'code' in error && OF_NETWORK.has(error.code)
}
