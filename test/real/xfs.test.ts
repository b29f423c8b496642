import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CowFileSystem, mountCow, obstacleToCow } from '../../sandbox/cow-file-system.ts'
import { mountFull } from '../../sandbox/full-file-system.ts'
import { FileStore } from '../../storage/file/file.ts'
import { describeObjectStore } from '../storage/conformance.ts'
import { keysOf, ofType } from '../storage/store-under-test.ts'

const obstacle = await obstacleToCow()

describe.skipIf(obstacle !== undefined)(`on XFS${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`, () => {
  let mounted: CowFileSystem
  let tests = 0

  beforeAll(async () => {
    mounted = await mountCow(600)
  })

  afterAll(async () => {
    await mounted[Symbol.asyncDispose]()
  })

  describeObjectStore('a file store on XFS', async () => {
    tests += 1
    const root = join(mounted.path, String(tests))
    await mkdir(root)
    return { open: () => new FileStore(root) }
  })
})

describe.skipIf(obstacle !== undefined)('a file system that is nearly full', () => {
  test('takes what has room, refuses what has not as StorageFull, and goes on after it', async () => {
    await using full = await mountFull(8)
    const store = new FileStore(full.path)
    await store.put('small', Buffer.alloc(1_000_000))
    await expect(store.put('large', Buffer.alloc(12_000_000))).rejects.toThrow(ofType('StorageFull'))
    const upload = await store.upload('k/0/a/')
    const writer = await upload.open('0', 0)
    const writing = async () => {
      for (let piece = 0; piece < 12; piece++) await writer.write(Buffer.alloc(1_000_000))
    }
    await expect(writing()).rejects.toThrow(ofType('StorageFull'))
    await writer.close()
    await store.abortUploads('k/')
    await store.put('other', Buffer.alloc(4_000_000))
    expect(await keysOf(store, '')).toEqual(['other', 'small'])
  })
})
