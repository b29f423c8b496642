import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../model/config.ts'
import { openStore } from '../../storage/kinds.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { listenOnLoopback } from './loopback.ts'
import { ofType } from './store-under-test.ts'
import { temporaryDirectory } from './temporary-directory.ts'

// Real servers at hand know neither KMS nor storage classes: here is what they would be asked.

interface Asked {
  /** Method and query, as `POST ?uploads`. */
  readonly call: string
  readonly headers: IncomingHttpHeaders
}

const MARKER = '{"id":"5f0c3e0a-54d7-4a0e-9d6b-0c7d1c8e6a11"}'

/**
 * A server that says yes to everything and writes down what it was asked.
 * @param looked status of its answers to who looks at an object: as a rule nothing was there before
 */
async function listener(looked = 404): Promise<{ readonly endpoint: string; readonly asked: Asked[] }> {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://localhost')
    const query = [...searchParams.keys()].filter((key) => key !== 'x-id')
    asked.push({ call: [request.method, ...query].join(' '), headers: request.headers })
    request.resume().on('end', () => {
      const text = answerTo([request.method, ...query].join(' '))
      response.writeHead(request.method === 'HEAD' ? looked : 200, { etag: '"e"', 'content-length': text.length })
      response.end(request.method === 'HEAD' ? undefined : text)
    })
  })
  const address = await listenOnLoopback(server)
  return { endpoint: `http://${address}`, asked }
}

function answerTo(call: string): string {
  switch (call) {
    case 'GET':
      return MARKER
    case 'POST uploads':
      return '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>'
    case 'POST uploadId':
      return '<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>'
    default:
      return ''
  }
}

async function storeWith(endpoint: string, settings: string): Promise<ObjectStore> {
  const storage = `{ kind: s3, bucket: backups, endpoint: "${endpoint}", pathStyle: true, ${settings} }`
  const mysql = '{ defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }'
  process.env['AWS_ACCESS_KEY_ID'] = 'somebody'
  process.env['AWS_SECRET_ACCESS_KEY'] = 'something'
  return await openStore(parseConfig(`storage: ${storage}\nmysql: ${mysql}`, 'test').storage)
}

/** Makes a small object and a large one, and looks at one. */
async function use(store: ObjectStore): Promise<void> {
  await store.put('k/0/a/0', Buffer.from('x'))
  await uploadLarge(store)
  await store.head('k/0/a/0')
}

/** Makes an object of two parts. */
async function uploadLarge(store: ObjectStore): Promise<void> {
  const upload = await store.upload('k/0/a/')
  const writer = await upload.open('1', 0)
  try {
    await writer.write(Buffer.alloc(9_000_000))
    await writer.finish()
  } finally {
    await writer.close()
  }
}

const NEW = ['PUT', 'POST uploads']
const PARTS = ['PUT partNumber uploadId']

describe('what a store is asked', () => {
  test('has storage class and tags for all that is made', async () => {
    const { endpoint, asked } = await listener()
    await use(await storeWith(endpoint, 'storageClass: STANDARD_IA, tags: { team: "data & bases" }'))
    const made = asked.filter(({ call }) => NEW.includes(call))
    expect(new Set(made.map(({ call }) => call))).toEqual(new Set(NEW))
    for (const { headers } of made) {
      expect(headers).toMatchObject({ 'x-amz-storage-class': 'STANDARD_IA', 'x-amz-tagging': 'team=data+%26+bases' })
    }
  })

  test('has the key of KMS', async () => {
    const { endpoint, asked } = await listener()
    await use(await storeWith(endpoint, 'encryption: { kms: alias/backups }'))
    for (const { headers } of asked.filter(({ call }) => NEW.includes(call))) {
      expect(headers).toMatchObject({
        'x-amz-server-side-encryption': 'aws:kms',
        'x-amz-server-side-encryption-aws-kms-key-id': 'alias/backups',
      })
    }
  })

  test.each(['raw', 'base64'] as const)(
    'has the customer’s key from a file of %s bytes, also for parts and for looking',
    async (form) => {
      const { endpoint, asked } = await listener()
      const key = randomBytes(32)
      const path = join(await temporaryDirectory(), 'key')
      await writeFile(path, form === 'raw' ? key : `${key.toString('base64')}\n`)
      await use(await storeWith(endpoint, `encryption: { customerKeyFile: ${path} }`))
      const expected = {
        'x-amz-server-side-encryption-customer-algorithm': 'AES256',
        'x-amz-server-side-encryption-customer-key': key.toString('base64'),
        'x-amz-server-side-encryption-customer-key-md5': createHash('md5').update(key).digest('base64'),
      }
      for (const call of [...NEW, ...PARTS, 'HEAD', 'GET', 'POST uploadId']) {
        const of = asked.filter((one) => one.call === call)
        expect(of, call).not.toEqual([])
        for (const { headers } of of) expect(headers).toMatchObject(expected)
      }
    },
  )

  test('a file that holds no key is a mistake in the configuration, and is not quoted', async () => {
    const path = join(await temporaryDirectory(), 'key')
    await writeFile(path, 'not a key')
    const { endpoint } = await listener()
    const store = await storeWith(endpoint, `encryption: { customerKeyFile: ${path} }`)
    await expect(store.put('a', Buffer.from('x'))).rejects.toThrow(ofType('InvalidConfig'))
    await expect(store.put('a', Buffer.from('x'))).rejects.not.toThrow(/not a key/)
    await expect((await storeWith(endpoint, 'encryption: { customerKeyFile: /nowhere }')).head('a')).rejects.toThrow(
      ofType('InvalidConfig'),
    )
  })

  test('a file of the key that could not be read is read again once it is there', async () => {
    const path = join(await temporaryDirectory(), 'key')
    const { endpoint } = await listener()
    const store = await storeWith(endpoint, `encryption: { customerKeyFile: ${path} }`)
    await expect(store.put('a', Buffer.from('x'))).rejects.toThrow(ofType('InvalidConfig'))
    await writeFile(path, randomBytes(32))
    await store.put('a', Buffer.from('x'))
  })

  test('signs all bytes where the store does not tell that it checks their CRC-32', async () => {
    const { endpoint, asked } = await listener()
    await use(await storeWith(endpoint, ''))
    for (const { headers } of asked.filter(({ call }) => [...PARTS, 'PUT'].includes(call))) {
      expect(headers['x-amz-content-sha256']).toMatch(/^[0-9a-f]{64}$/)
      expect(headers['x-amz-checksum-crc32']).toMatch(/^.{6}==$/)
    }
  })
})

describe('the parts of an object that cannot be completed', () => {
  const DROP = 'DELETE uploadId'

  test('are dropped where somebody else has stored it', async () => {
    const { endpoint, asked } = await listener(200)
    await expect(uploadLarge(await storeWith(endpoint, ''))).rejects.toThrow(ofType('Refused'))
    expect(asked.map(({ call }) => call)).toContain(DROP)
  })

  test('are kept for the next attempt where nobody could look whether it is there', async () => {
    const { endpoint, asked } = await listener(403)
    await expect(uploadLarge(await storeWith(endpoint, ''))).rejects.toThrow(ofType('StorageDenied'))
    expect(asked.map(({ call }) => call)).not.toContain(DROP)
  })
})
