import { describe, expect, test } from 'vitest'
import { answerError, credentialsError, isTransient } from '../../storage/gcs/errors.ts'
import { checksumText } from '../../storage/gcs/object.ts'
import { contentRange, persistedIn } from '../../storage/gcs/session.ts'
import { finalKeyOf } from '../../storage/gcs/upload.ts'

const STORE = 'gs://backups/prod'
const STORING = { doing: 'store commerce/0/x/1', permission: 'storage.objects.create' }

function said(status: number, message: string, reason = '', headers = {}) {
  const text = JSON.stringify({ error: { code: status, message, errors: [{ message, domain: 'global', reason }] } })
  return answerError(STORE, STORING, { status, headers, text })
}

describe('a 403 of Google Cloud Storage', () => {
  test.each([
    ['Provided scope(s) are not authorized', 'forbidden', {}],
    ['Insufficient Permission', 'insufficientPermissions', {}],
    ['Request had insufficient authentication scopes.', '', {}],
    [
      'Access denied.',
      'forbidden',
      { 'www-authenticate': 'Bearer realm="https://accounts.google.com/", error=insufficient_scope' },
    ],
  ])('that says %j %s is the scope of the instance or node pool', (message, reason, headers) => {
    const error = said(403, message, reason, headers)
    expect(error).toMatchObject({ type: 'StorageDenied', hint: expect.stringContaining('--scopes=storage-rw') })
    expect(error.message).toBe(`cannot store commerce/0/x/1 in gs://backups/prod: ${message} (403)`)
  })

  test('that names the permission is a role of the account that it names', () => {
    const message =
      "agent@p.iam.gserviceaccount.com does not have storage.objects.delete access to the Google Cloud Storage object. Permission 'storage.objects.delete' denied on resource (or it may not exist)."
    expect(said(403, message, 'forbidden')).toMatchObject({
      type: 'StorageDenied',
      hint: 'Give agent@p.iam.gserviceaccount.com a role with storage.objects.delete: gcloud storage buckets add-iam-policy-binding gs://backups --member=serviceAccount:agent@p.iam.gserviceaccount.com --role=roles/storage.objectUser',
    })
  })

  test('that names nothing is a role with what was asked for', () => {
    expect(said(403, 'Forbidden').hint).toContain('a role with storage.objects.create')
    const listing = { doing: 'list', permission: 'storage.objects.list' }
    expect(answerError(STORE, listing, { status: 403, headers: {}, text: '' }).hint).toContain(
      'roles/storage.objectViewer',
    )
  })

  test('that is about retention names it, and one about rates goes away', () => {
    expect(said(403, 'Object is under active Temporary hold', 'objectUnderActiveHold').hint).toContain(
      'retention policy',
    )
    expect(said(403, 'Rate Limit Exceeded', 'rateLimitExceeded')).toMatchObject({ type: 'StorageUnavailable' })
  })
})

test('other answers of Google Cloud Storage', () => {
  expect(said(401, 'Anonymous caller does not have storage.objects.list access')).toMatchObject({
    type: 'StorageDenied',
    hint: expect.stringContaining('GOOGLE_APPLICATION_CREDENTIALS'),
  })
  expect(said(404, 'The specified bucket does not exist.', 'notFound')).toMatchObject({ type: 'InvalidConfig' })
  for (const status of [408, 429, 500, 502, 503, 504]) {
    expect(said(status, 'x')).toMatchObject({ type: 'StorageUnavailable', retryable: true })
    expect(isTransient({ status })).toBe(true)
  }
  for (const status of [400, 404, 409, 412]) expect(isTransient({ status })).toBe(false)
  const page = answerError(STORE, STORING, { status: 400, headers: {}, text: '<html>a proxy</html>' })
  expect(page.message).toBe('cannot store commerce/0/x/1 in gs://backups/prod: it answered (400)')
})

test('credentials that are missing or refused are denied; who does not answer may later', () => {
  const errorWith = (fields: object) => Object.assign(new Error('could not load the default credentials'), fields)
  expect(credentialsError(STORE, errorWith({}))).toMatchObject({ type: 'StorageDenied', retryable: false })
  expect(credentialsError(STORE, errorWith({ status: 400 }))).toMatchObject({ type: 'StorageDenied' })
  expect(credentialsError(STORE, errorWith({ status: 503 }))).toMatchObject({ type: 'StorageUnavailable' })
  expect(credentialsError(STORE, errorWith({ code: 'ECONNREFUSED' }))).toMatchObject({ type: 'StorageUnavailable' })
})

test('ranges of a resumable upload', () => {
  expect(contentRange(0, 524_288, undefined)).toBe('bytes 0-524287/*')
  expect(contentRange(524_288, 100, 524_388)).toBe('bytes 524288-524387/524388')
  expect(contentRange(524_288, 0, 524_288)).toBe('bytes */524288')
  expect(contentRange(524_288, 0, undefined)).toBe('bytes */*')
  expect(persistedIn({ headers: { range: 'bytes=0-524287' } })).toBe(524_288)
  expect(persistedIn({ headers: {} })).toBe(0)
})

test('checksums are told as Google tells them, and records know whose they are', () => {
  // https://datatracker.ietf.org/doc/html/rfc3720#appendix-B.4: 32 bytes of zeros.
  expect(checksumText(0x8a9136aa)).toBe('ipE2qg==')
  expect(finalKeyOf('k/0/a/.tmp-0123456789abcdef-17')).toBe('k/0/a/17')
  expect(finalKeyOf('k/0/a/17')).toBe('k/0/a/17')
})
