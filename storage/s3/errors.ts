import { type ErrorType, isError, messageOf, TabletkeeperError } from '../../model/errors.ts'

/** What was being done to what, for messages and hints. */
export interface S3Operation {
  /** The store, as its description says it. */
  readonly store: string
  /** Reads on after "cannot": `store commerce/0/x/1`. */
  readonly doing: string
  /** The right that it takes: `s3:PutObject`. */
  readonly right: string
  /** On what: the bucket, or an object in it. */
  readonly resource: string
  /** Whether it was about one object: nothing else can be missing. */
  readonly ofObject: boolean
  /** Whether the store has answered before: then there are credentials. */
  readonly hasAnswered: boolean
}

interface Kind {
  readonly type: ErrorType
  readonly hint: string
}

const UNAVAILABLE: Kind = {
  type: 'StorageUnavailable',
  hint: 'Look whether the store answers: its status, and the network on the way to it.',
}
const MISSING: Kind = { type: 'NotFound', hint: 'Somebody removed it.' }
const WRONG_REGION: Kind = {
  type: 'InvalidConfig',
  hint: 'Set storage.region to the region that the bucket is in, or storage.endpoint to the address of its store.',
}
const BAD_KEY: Kind = {
  type: 'InvalidInput',
  hint: 'One name is that of a directory of another: this store takes one of them.',
}
const WRONG_KEYS: Kind = {
  type: 'StorageDenied',
  hint: 'The store does not know these credentials: look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile, or the role of this host.',
}
const EXPIRED: Kind = {
  type: 'StorageUnavailable',
  hint: 'Renew the session that the credentials come from; with one in the environment, restart agents and control. A role of the host or of the pod renews itself.',
}
const NO_CREDENTIALS: Kind = {
  type: 'StorageDenied',
  hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE for this process, or give its host or pod a role.',
}
const FULL: Kind = { type: 'StorageFull', hint: 'Free space or raise the quota there, then start the run again.' }
const UNKNOWN_REQUEST: Kind = {
  type: 'InvalidConfig',
  hint: 'The store does not take what was asked of it: docs/operations.md, "Storage: S3 and Ceph", has settings for stores that lack something.',
}
const DAMAGED: Kind = {
  type: 'StorageUnavailable',
  hint: 'It was damaged on its way, more than once: look at the network, and at the memory of this host.',
}
const WRONG_SIZE: Kind = {
  type: 'InvalidConfig',
  hint: 'Set storage.partSize to a size of parts that the store takes.',
}
const WRONG_KMS: Kind = {
  type: 'StorageDenied',
  hint: 'Look at storage.encryption, and at the state of that key in KMS.',
}
const WRONG_CERTIFICATE: Kind = {
  type: 'InvalidConfig',
  hint: 'Set NODE_EXTRA_CA_CERTS to a file of the authority that signed its certificate, or correct storage.endpoint.',
}

/** By S3's code of the error, which the SDK has as its name. */
const BY_NAME: Readonly<Record<string, Kind>> = {
  NoSuchBucket: { type: 'InvalidConfig', hint: 'Create the bucket, or correct storage.bucket.' },
  InvalidBucketName: { type: 'InvalidConfig', hint: 'Correct storage.bucket.' },
  NoSuchKey: MISSING,
  // What the SDK calls any 404 without a code.
  NotFound: MISSING,
  NoSuchUpload: {
    type: 'StorageUnavailable',
    hint: 'Its multipart upload was aborted, by somebody or by a lifecycle rule of the bucket: the next attempt begins the object anew.',
  },
  InvalidPart: {
    type: 'StorageUnavailable',
    hint: 'Parts of its multipart upload are gone: the next attempt begins the object anew.',
  },
  PreconditionFailed: {
    type: 'Refused',
    hint: 'Somebody else has written it: look whether two runs make the same backup.',
  },
  // 400, of bodies that came too slowly or not to their end.
  RequestTimeout: UNAVAILABLE,
  IncompleteBody: UNAVAILABLE,
  InvalidRange: { type: 'CorruptBackup', hint: 'The object is shorter than it was when it was stored.' },
  InvalidObjectState: {
    type: 'StorageDenied',
    hint: 'The object is archived: bring it back from its storage class first, and keep lifecycle rules off backups.',
  },
  // Of gateways to file systems.
  ExistingObjectIsDirectory: BAD_KEY,
  ObjectParentIsFile: BAD_KEY,
  InvalidAccessKeyId: WRONG_KEYS,
  SignatureDoesNotMatch: WRONG_KEYS,
  InvalidToken: WRONG_KEYS,
  ExpiredToken: EXPIRED,
  ExpiredTokenException: EXPIRED,
  TokenRefreshRequired: EXPIRED,
  RequestExpired: EXPIRED,
  RequestTimeTooSkewed: {
    type: 'StorageUnavailable',
    hint: "Set this host's clock: it differs too much from the store's.",
  },
  CredentialsProviderError: NO_CREDENTIALS,
  PermanentRedirect: WRONG_REGION,
  AuthorizationHeaderMalformed: WRONG_REGION,
  IllegalLocationConstraintException: WRONG_REGION,
  QuotaExceeded: FULL,
  QuotaExceededException: FULL,
  InsufficientCapacity: FULL,
  XMinioStorageFull: FULL,
  InvalidArgument: UNKNOWN_REQUEST,
  InvalidRequest: UNKNOWN_REQUEST,
  MalformedXML: UNKNOWN_REQUEST,
  NotImplemented: UNKNOWN_REQUEST,
  BadDigest: DAMAGED,
  InvalidDigest: DAMAGED,
  BadChecksum: DAMAGED,
  XAmzContentSHA256Mismatch: DAMAGED,
  EntityTooLarge: WRONG_SIZE,
  EntityTooSmall: WRONG_SIZE,
  KMSInvalidStateException: WRONG_KMS,
  InvalidEncryptionAlgorithmError: WRONG_KMS,
}

/** By Node's code of a failure that is not the store's. */
const BY_CODE: Readonly<Record<string, Kind>> = {
  ENOTFOUND: {
    type: 'StorageUnavailable',
    hint: 'Nobody knows that host: look at storage.endpoint, at storage.pathStyle (without it the bucket is part of the name), and at DNS.',
  },
  ECONNREFUSED: {
    type: 'StorageUnavailable',
    hint: 'Nobody listens there: start the store, or correct storage.endpoint.',
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: WRONG_CERTIFICATE,
  SELF_SIGNED_CERT_IN_CHAIN: WRONG_CERTIFICATE,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: WRONG_CERTIFICATE,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: WRONG_CERTIFICATE,
  ERR_TLS_CERT_ALTNAME_INVALID: WRONG_CERTIFICATE,
  CERT_HAS_EXPIRED: WRONG_CERTIFICATE,
}

/** An error of the SDK in the words of the store's contract; errors that are so already stay as they are. */
export function s3Error(error: unknown, operation: S3Operation): TabletkeeperError {
  if (isError(error)) return error
  const { type, hint } = kindOf(error, operation)
  const name = error instanceof Error && error.name !== 'Error' ? `${error.name}: ` : ''
  const status = statusOf(error)
  const said = messageOf(error) || (status === undefined ? (codeOf(error) ?? 'no answer') : `HTTP status ${status}`)
  return new TabletkeeperError(type, `cannot ${operation.doing} in ${operation.store}: ${name}${said}`, {
    hint,
    cause: error,
  })
}

/** Whether an answer says that there is no such object, or bucket: for a HEAD they are the same. */
export function isMissing(error: unknown): boolean {
  return (
    named(error, 'NoSuchKey', 'NotFound') || (statusOf(error) === 404 && !named(error, 'NoSuchBucket', 'NoSuchUpload'))
  )
}

/** Whether `error` has one of S3's codes. */
export function named(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof Error && names.includes(error.name)
}

/** Whether a write was not made because the object is there. */
export function isRefusal(error: unknown): boolean {
  return named(error, 'PreconditionFailed') || statusOf(error) === 412
}

/** Whether a write met another one on its way: it can be tried again, and each of them ends soon. */
export function isConflict(error: unknown): boolean {
  return statusOf(error) === 409 && error instanceof Error && !error.name.startsWith('Bucket')
}

/** Whether there is no room, which trying again does not make. */
export function isFull(error: unknown): boolean {
  return statusOf(error) === 507 || (error instanceof Error && own(BY_NAME, error.name) === FULL)
}

/** Whether the store did not allow something that can be done without. */
export function isDenied(error: unknown): boolean {
  return (
    named(error, 'AccessDenied', 'NotImplemented', 'MethodNotAllowed') || [403, 405, 501].includes(statusOf(error) ?? 0)
  )
}

/** Whether what was sent did not arrive to its end: worth another try. */
export function isCut(error: unknown): boolean {
  return named(error, 'RequestTimeout', 'IncompleteBody')
}

/** Whether what was sent arrived damaged: worth another try. */
export function isDamaged(error: unknown): boolean {
  return error instanceof Error && own(BY_NAME, error.name) === DAMAGED
}

/** Whether the store does not take the credentials, or no longer. */
export function isOfCredentials(error: unknown): boolean {
  const kind = error instanceof Error ? own(BY_NAME, error.name) : undefined
  return kind === EXPIRED || kind === WRONG_KEYS
}

function kindOf(error: unknown, operation: S3Operation): Kind {
  const name = error instanceof Error ? error.name : ''
  if (name === 'CredentialsProviderError' && operation.hasAnswered) return EXPIRED
  if (messageOf(error) === 'Region is missing') return WRONG_REGION
  const known = own(BY_NAME, name) ?? own(BY_CODE, codeOf(error) ?? '')
  if (known !== undefined && known !== MISSING) return known
  if (name.startsWith('KMS.')) return WRONG_KMS
  // Where no object was asked for, something else than the store has answered: as NotFound it would make whole backups look incomplete.
  if (known === MISSING || statusOf(error) === 404) return operation.ofObject ? MISSING : UNAVAILABLE
  const status = name === 'AccessDenied' ? 403 : statusOf(error)
  if (status === 401 || status === 403) return denied(operation)
  if (status === 507) return FULL
  if (status === 301 || status === 307) return WRONG_REGION
  if (status === 400 || status === 405 || status === 501) return UNKNOWN_REQUEST
  return UNAVAILABLE
}

function denied({ right, resource }: S3Operation): Kind {
  return {
    type: 'StorageDenied',
    hint: `Give these credentials the right ${right} on ${resource}: docs/operations.md, "Storage: S3 and Ceph", has a policy.`,
  }
}

function own(kinds: Readonly<Record<string, Kind>>, key: string): Kind | undefined {
  return Object.hasOwn(kinds, key) ? kinds[key] : undefined
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function statusOf(error: unknown): number | undefined {
  const metadata = metadataOf(error)
  return metadata !== undefined && 'httpStatusCode' in metadata && typeof metadata.httpStatusCode === 'number'
    ? metadata.httpStatusCode
    : undefined
}

function metadataOf(error: unknown): object | undefined {
  return error instanceof Error &&
    '$metadata' in error &&
    typeof error.$metadata === 'object' &&
    error.$metadata !== null
    ? error.$metadata
    : undefined
}
