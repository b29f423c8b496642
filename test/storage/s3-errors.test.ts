import { describe, expect, test } from 'vitest'
import { s3Error } from '../../storage/s3/errors.ts'

const OPERATION = {
  store: 's3://backups',
  doing: 'store commerce/0/x/1',
  right: 's3:PutObject',
  resource: 'backups/commerce/0/x/1',
  ofObject: true,
  hasAnswered: false,
}

/** As the SDK throws it. */
function answer(name: string, status: number, message = ''): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status } })
}

describe('what a store answers', () => {
  test.each([
    ['NoSuchBucket', 404, 'InvalidConfig', false],
    ['AccessDenied', 403, 'StorageDenied', false],
    ['Unknown', 403, 'StorageDenied', false],
    ['InvalidAccessKeyId', 403, 'StorageDenied', false],
    ['ExpiredToken', 400, 'StorageUnavailable', true],
    ['SlowDown', 503, 'StorageUnavailable', true],
    ['InternalError', 500, 'StorageUnavailable', true],
    ['TooManyRequests', 429, 'StorageUnavailable', true],
    ['QuotaExceeded', 403, 'StorageFull', false],
    ['InsufficientStorage', 507, 'StorageFull', false],
    ['PreconditionFailed', 412, 'Refused', false],
    ['NoSuchUpload', 404, 'StorageUnavailable', true],
    ['InvalidRange', 416, 'CorruptBackup', false],
    ['BadDigest', 400, 'StorageUnavailable', true],
    ['RequestTimeout', 400, 'StorageUnavailable', true],
    ['IncompleteBody', 400, 'StorageUnavailable', true],
    ['PermanentRedirect', 301, 'InvalidConfig', false],
    ['NotImplemented', 501, 'InvalidConfig', false],
    ['KMS.DisabledException', 400, 'StorageDenied', false],
  ])('%s with status %d is %s', (name, status, type, retryable) => {
    expect(s3Error(answer(name, status), OPERATION)).toMatchObject({ type, retryable, hint: expect.any(String) })
  })

  test('a 404 is a missing object only where an object was asked for', () => {
    for (const name of ['NotFound', 'NoSuchKey', 'UnknownError']) {
      expect(s3Error(answer(name, 404), OPERATION)).toMatchObject({ type: 'NotFound' })
      const listing = { ...OPERATION, doing: 'list commerce/0/', right: 's3:ListBucket', ofObject: false }
      expect(s3Error(answer(name, 404), listing)).toMatchObject({ type: 'StorageUnavailable', retryable: true })
    }
  })

  test.each([
    ['ECONNRESET', 'StorageUnavailable'],
    ['ECONNREFUSED', 'StorageUnavailable'],
    ['ENOTFOUND', 'StorageUnavailable'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'InvalidConfig'],
  ])('%s on the way to it is %s', (code, type) => {
    expect(s3Error(Object.assign(new Error('x'), { code }), OPERATION)).toMatchObject({ type })
  })

  test('credentials that were never there are denied, those that went away may come back', () => {
    const missing = Object.assign(new Error('no providers'), { name: 'CredentialsProviderError' })
    expect(s3Error(missing, OPERATION)).toMatchObject({ type: 'StorageDenied' })
    expect(s3Error(missing, { ...OPERATION, hasAnswered: true })).toMatchObject({ type: 'StorageUnavailable' })
  })

  test('is told with what was done, to what, and the right that it takes', () => {
    const { message, hint } = s3Error(answer('AccessDenied', 403, 'Access Denied'), OPERATION)
    expect(message).toBe('cannot store commerce/0/x/1 in s3://backups: AccessDenied: Access Denied')
    expect(hint).toContain('s3:PutObject on backups/commerce/0/x/1')
  })

  test('without words is told by its status', () => {
    expect(s3Error(answer('UnknownError', 503), OPERATION).message).toContain('UnknownError: HTTP status 503')
  })
})
