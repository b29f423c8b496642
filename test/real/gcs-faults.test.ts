import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { GcsStore } from '../../storage/gcs/gcs.ts'
import { contentOf, keysOf, ofType } from '../storage/store-under-test.ts'
import { type Fault, type Passed, startProxy } from './gcs-proxy.ts'
import { gcsConfig, newRoot, useFakeGcs } from './gcs-server.ts'

const gcs = useFakeGcs()
const MEBIBYTE = 1024 * 1024
const CHUNK = 8 * MEBIBYTE

/** A store that is reached by a proxy, which has seen its repository made. */
async function storeByProxy(settings = '') {
  const proxy = await startProxy(gcs().endpoint)
  const place = newRoot(proxy.endpoint, settings)
  const store = place.open()
  await store.put('ready', Buffer.from('x'))
  proxy.passed.length = 0
  return { proxy, store, place }
}

/** The fault for the first requests that are meant, `times` of them. */
function first(times: number, isMeant: (request: Passed) => boolean, fault: Fault) {
  let left = times
  return (request: Passed) => (isMeant(request) && left-- > 0 ? fault : undefined)
}

const isChunk = ({ method, range }: Passed) => method === 'PUT' && range !== undefined && !range.startsWith('bytes *')
const isMedia = ({ path }: Passed) => path.includes('alt=media')
const isInsert = ({ path }: Passed) => path.includes('uploadType=multipart')

async function upload(store: GcsStore, bytes: Buffer): Promise<void> {
  const upload = await store.upload('k/0/a/')
  const writer = await upload.open('0', 0)
  try {
    for (let at = 0; at < bytes.length; at += 3_000_000) await writer.write(bytes.subarray(at, at + 3_000_000))
    await writer.finish()
  } finally {
    await writer.close()
  }
  await upload.commit(['0'])
}

describe('an upload to Google Cloud Storage', () => {
  const bytes = randomBytes(20_000_000)

  test('whose connection breaks in mid-chunk sends only what has not arrived', async () => {
    const { proxy, store } = await storeByProxy()
    proxy.fault = first(1, isChunk, { kind: 'cut-request', after: 5_000_000 })
    await upload(store, bytes)
    expect(bytes.equals(await contentOf(store, 'k/0/a/0'))).toBe(true)
    const [broken, rest] = proxy.passed.filter(isChunk)
    expect(broken?.range).toBe(`bytes 0-${CHUNK - 1}/*`)
    expect(rest?.range).toMatch(new RegExp(`^bytes [1-9]\\d*-${CHUNK - 1}/\\*$`))
    expect(rest?.bytes).toBeLessThan(CHUNK - 4_000_000)
  })

  test.each([408, 429, 500, 503])('that is answered %d some times goes on', async (status) => {
    const { proxy, store } = await storeByProxy()
    let turn = 0
    proxy.fault = () => (turn++ % 3 === 1 ? { kind: 'answer', status } : undefined)
    await upload(store, bytes)
    proxy.fault = () => undefined
    expect(bytes.equals(await contentOf(store, 'k/0/a/0'))).toBe(true)
  })

  test('whose last answer is lost finds itself done', async () => {
    const { proxy, store } = await storeByProxy()
    proxy.fault = first(1, ({ range }) => /\/\d+$/.test(range ?? ''), { kind: 'lose-answer' })
    await upload(store, bytes)
    proxy.fault = first(1, isInsert, { kind: 'lose-answer' })
    await store.put('k/0/a/MANIFEST', Buffer.from('{}'), { ifAbsent: true })
    expect(await keysOf(store, 'k/')).toEqual(['k/0/a/0', 'k/0/a/MANIFEST'])
  })

  test('gives up within bounds when nothing gets through, and says so', async () => {
    const { proxy, store } = await storeByProxy()
    proxy.fault = () => ({ kind: 'answer', status: 503 })
    await expect(upload(store, bytes)).rejects.toThrow(ofType('StorageUnavailable'))
    expect(proxy.passed.length).toBeLessThan(20)
  })

  test('that stalls is tried again', async () => {
    const { proxy, store } = await storeByProxy('stallTimeout: 5s')
    proxy.fault = first(1, isChunk, { kind: 'stall' })
    await upload(store, bytes)
    expect(bytes.equals(await contentOf(store, 'k/0/a/0'))).toBe(true)
  })

  test.each([
    ['in one request', 1_000_000, 500_000],
    ['in chunks', 20_000_000, 100],
  ])('of which a byte is changed on its way, %s, leaves no object', async (_name, size, at) => {
    const { proxy, store } = await storeByProxy()
    proxy.fault = (request) =>
      isInsert(request) || (isChunk(request) && /\/\d+$/.test(request.range ?? ''))
        ? { kind: 'flip-request', at }
        : undefined
    await expect(upload(store, bytes.subarray(0, size))).rejects.toThrow(ofType('StorageUnavailable'))
    proxy.fault = () => undefined
    expect(await keysOf(store, 'k/')).toEqual([])
  })

  test('that is ended from elsewhere fails', async () => {
    const { store, place } = await storeByProxy()
    const begun = await store.upload('k/0/a/')
    const writer = await begun.open('0', 0)
    await writer.write(bytes.subarray(0, CHUNK))
    await place.open().abortUploads('k/0/a/')
    const goingOn = async () => {
      await writer.write(bytes.subarray(CHUNK))
      await writer.finish()
    }
    await expect(goingOn()).rejects.toThrow(/has lost what was uploaded of k\/0\/a\/0/)
    await writer.close()
    expect(await keysOf(store, 'k/')).toEqual([])
  })
})

describe('an upload that another process goes on with', () => {
  const bytes = randomBytes(30_000_000)

  /** What a process that has written so much leaves. */
  async function leftBy(store: GcsStore, written: Buffer): Promise<{ readonly id: string; readonly kept: number }> {
    const upload = await store.upload('k/0/a/')
    const writer = await upload.open('0', 0)
    for (let at = 0; at < written.length; at += MEBIBYTE) await writer.write(written.subarray(at, at + MEBIBYTE))
    await expect.poll(() => writer.kept).toBeGreaterThanOrEqual(written.length - (written.length % CHUNK))
    await writer.close()
    return { id: upload.id, kept: writer.kept }
  }

  async function goOn(store: GcsStore, id: string, from: number, all: Buffer): Promise<number> {
    const upload = await store.upload('k/0/a/', id)
    const writer = await upload.open('0', from)
    const { kept } = writer
    try {
      for (let at = kept; at < all.length; at += MEBIBYTE) await writer.write(all.subarray(at, at + MEBIBYTE))
      await writer.finish()
      expect(writer.kept).toBe(all.length)
    } finally {
      await writer.close()
    }
    await upload.commit(['0'])
    return kept
  }

  test('sends no byte twice when it is asked for what was kept', async () => {
    const { proxy, store, place } = await storeByProxy()
    const { id, kept } = await leftBy(store, bytes.subarray(0, 17_000_000))
    expect(kept).toBe(2 * CHUNK)
    proxy.passed.length = 0
    expect(await goOn(place.open(), id, kept, bytes)).toBe(kept)
    expect(proxy.passed.filter(isChunk).reduce((sum, { bytes }) => sum + bytes, 0)).toBe(bytes.length - kept)
    expect(bytes.equals(await contentOf(store, 'k/0/a/0'))).toBe(true)
  })

  test('goes on from the end of the last whole frame, though more has arrived', async () => {
    const { proxy, store, place } = await storeByProxy()
    const { id } = await leftBy(store, bytes.subarray(0, 17_000_000))
    proxy.passed.length = 0
    expect(await goOn(place.open(), id, 15_123_456, bytes)).toBe(15_123_456)
    expect(proxy.passed.filter(isChunk).reduce((sum, { bytes }) => sum + bytes, 0)).toBe(bytes.length - 2 * CHUNK)
    expect(bytes.equals(await contentOf(store, 'k/0/a/0'))).toBe(true)
    expect((await store.list('k/', { delimiter: '/' })).prefixes).toEqual(['k/0/'])
  })

  test('stores the bytes that were written last, also where the object becomes shorter than what had arrived', async () => {
    const { store, place } = await storeByProxy()
    const other = Buffer.concat([bytes.subarray(0, 10_000_000), randomBytes(2_000_000)])
    const { id } = await leftBy(store, bytes.subarray(0, 17_000_000))
    expect(await goOn(place.open(), id, 10_000_000, other)).toBe(10_000_000)
    expect(other.equals(await contentOf(store, 'k/0/a/0'))).toBe(true)
  })

  test('is proven also by the third process, and fails where the bytes of the second were others', async () => {
    const { store, place } = await storeByProxy()
    const { id } = await leftBy(store, bytes.subarray(0, 17_000_000))
    const second = await (await place.open().upload('k/0/a/', id)).open('0', 15_000_000)
    await second.write(randomBytes(12_000_000))
    await expect.poll(() => second.kept).toBe(3 * CHUNK)
    await second.close()
    await expect(goOn(place.open(), id, 3 * CHUNK, bytes)).rejects.toThrow(/has other bytes than were written/)
    expect(await keysOf(store, 'k/')).toEqual([])
    expect(await goOn(place.open(), id, 3 * CHUNK, bytes)).toBe(0)
    expect(bytes.equals(await contentOf(store, 'k/0/a/0'))).toBe(true)
  })
})

describe('an upload of who may remove and replace nothing', () => {
  const bytes = randomBytes(20_000_000)

  /** Lets `records` of an upload be stored, of which the later ones would replace the first. */
  async function createOnly(records: number) {
    const { proxy, place } = await storeByProxy()
    let left = records
    const isRecord = (request: Passed) => isInsert(request) && !request.path.includes('ifGenerationMatch')
    const isRemoval = ({ method, path }: Passed) => method === 'DELETE' && !path.startsWith('/upload/')
    const rights = (request: Passed): Fault | undefined =>
      isRemoval(request) || (isRecord(request) && left-- <= 0) ? { kind: 'answer', status: 403 } : undefined
    proxy.fault = rights
    return { proxy, place, rights }
  }

  /** Writes some of an object, as a process does that is killed then. */
  async function begin(store: GcsStore, id: string | undefined, from: number, written: Buffer): Promise<string> {
    const upload = await store.upload('k/0/a/', id)
    const writer = await upload.open('0', from)
    await writer.write(written.subarray(writer.kept))
    await expect.poll(() => writer.kept).toBeGreaterThanOrEqual(CHUNK)
    await writer.close()
    return upload.id
  }

  async function goOn(store: GcsStore, id: string): Promise<number> {
    const upload = await store.upload('k/0/a/', id)
    const writer = await upload.open('0', CHUNK)
    const { kept } = writer
    await writer.write(bytes.subarray(kept))
    await writer.finish()
    await writer.close()
    await upload.commit(['0'])
    return kept
  }

  test('goes on as all others do', async () => {
    const { place } = await createOnly(1)
    const id = await begin(place.open(), undefined, 0, bytes.subarray(0, CHUNK))
    expect(await goOn(place.open(), id)).toBe(CHUNK)
    expect(bytes.equals(await contentOf(place.open(), 'k/0/a/0'))).toBe(true)
  })

  test('begins anew where the bucket has lost what its record names', async () => {
    const { proxy, place, rights } = await createOnly(1)
    const id = await begin(place.open(), undefined, 0, bytes.subarray(0, CHUNK))
    const lost = first(1, ({ range }) => range === 'bytes */*', { kind: 'answer', status: 410 })
    proxy.fault = (request) => lost(request) ?? rights(request)
    expect(await goOn(place.open(), id)).toBe(0)
    expect(bytes.equals(await contentOf(place.open(), 'k/0/a/0'))).toBe(true)
  })

  test('never goes on with what its record names where something else was written since', async () => {
    const { place } = await createOnly(1)
    const id = await begin(place.open(), undefined, 0, randomBytes(CHUNK))
    await begin(place.open(), id, 0, bytes.subarray(0, CHUNK))
    expect(await goOn(place.open(), id)).toBe(0)
    expect(bytes.equals(await contentOf(place.open(), 'k/0/a/0'))).toBe(true)
  })

  test('is denied where not even a record may be made: nobody could go on with it', async () => {
    const { place } = await createOnly(0)
    const upload = await place.open().upload('k/0/a/')
    const writer = await upload.open('0', 0)
    await expect(writer.write(bytes.subarray(0, CHUNK))).rejects.toThrow(ofType('StorageDenied'))
    await writer.close()
  })
})

describe('reading from Google Cloud Storage', () => {
  const bytes = randomBytes(5_000_000)

  test('goes on where the answer broke off, of an object and of a range', async () => {
    const { proxy, store } = await storeByProxy()
    await store.put('a', bytes)
    let cuts = 0
    proxy.fault = (request) => (isMedia(request) && cuts++ % 4 < 3 ? { kind: 'cut-answer', after: 700_000 } : undefined)
    expect(bytes.equals(await contentOf(store, 'a'))).toBe(true)
    const range = await buffer(await store.get('a', { start: 1_000, end: 3_999_999 }))
    expect(bytes.subarray(1_000, 4_000_000).equals(range)).toBe(true)
    expect(cuts).toBeGreaterThan(4)
  })

  test('of a whole object tells a byte that is another one', async () => {
    const { proxy, store } = await storeByProxy()
    await store.put('a', bytes)
    proxy.fault = (request) => (isMedia(request) ? { kind: 'flip-answer', at: 4_000_000 } : undefined)
    await expect(contentOf(store, 'a')).rejects.toThrow(/gave other bytes of a than it has/)
  })

  test('never mixes two objects that had one name', async () => {
    const { proxy, store } = await storeByProxy()
    await store.put('a', bytes)
    // Farther than it reads ahead: the break is met after the object was replaced.
    proxy.fault = first(1, isMedia, { kind: 'cut-answer', after: 4_500_000 })
    const body = await store.get('a')
    await store.put('a', randomBytes(5_000_000))
    await expect(buffer(body)).rejects.toThrow(/it was replaced/)
  })

  test('gives up when nothing comes any more', async () => {
    const { proxy, store } = await storeByProxy()
    await store.put('a', bytes)
    proxy.fault = (request) => (isMedia(request) ? { kind: 'cut-answer', after: 0 } : undefined)
    await expect(contentOf(store, 'a')).rejects.toThrow(ofType('StorageUnavailable'))
    expect(proxy.passed.filter(isMedia).length).toBeLessThan(10)
  })
})

describe('Google Cloud Storage says', () => {
  test('that there is no such bucket', async () => {
    const store = new GcsStore({ ...gcsConfig(gcs().endpoint), bucket: 'no-such-bucket' }, { firstPause: 20 })
    for (const call of [
      () => store.repository(),
      () => store.list(''),
      () => store.probe(),
      () => store.put('a', Buffer.from('x')),
      () => store.get('a'),
    ]) {
      await expect(call()).rejects.toThrow(ofType('InvalidConfig'))
    }
  })

  test('that the scope of the instance is missing, or a role of the account: two hints', async () => {
    const { proxy, store } = await storeByProxy()
    const said = (message: string) =>
      JSON.stringify({ error: { code: 403, message, errors: [{ reason: 'forbidden' }] } })
    proxy.fault = () => ({ kind: 'answer', status: 403, body: said('Provided scope(s) are not authorized') })
    await expect(store.put('a', Buffer.from('x'))).rejects.toMatchObject({
      type: 'StorageDenied',
      hint: expect.stringContaining('storage-rw'),
    })
    const account = 'agent@example.iam.gserviceaccount.com'
    const lacking = `${account} does not have storage.objects.create access to the Google Cloud Storage object.`
    proxy.fault = () => ({ kind: 'answer', status: 403, body: said(lacking) })
    await expect(store.put('a', Buffer.from('x'))).rejects.toMatchObject({
      type: 'StorageDenied',
      hint: expect.stringContaining(`--member=serviceAccount:${account} --role=roles/storage.objectUser`),
    })
  })

  test('nothing where nobody listens', async () => {
    const store = new GcsStore(gcsConfig('http://127.0.0.1:1'), { firstPause: 5 })
    await expect(store.repository()).rejects.toThrow(ofType('StorageUnavailable'))
  })
})
