import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { contentOf, keysOf, ofType } from '../storage/store-under-test.ts'
import { type Fault, type Passed, startProxy } from './gcs-proxy.ts'
import { newRoot, useVersitygw } from './s3-server.ts'

const s3 = useVersitygw()

const DIRECTORY = 'k/0/a/'
const CONTENT = randomBytes(20 * 1024 * 1024)

/** What a store answers that has too much to do. */
function refusal(status: number, code: string): Fault {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>Less, please.</Message></Error>`
  return { kind: 'answer', status, headers: { 'content-type': 'application/xml' }, body }
}

async function behindProxy() {
  const proxy = await startProxy(s3().server.endpoint)
  const { open } = newRoot({ ...s3().server, endpoint: proxy.endpoint })
  return { proxy, store: open() }
}

describe('a store that has too much to do', () => {
  test.each([
    [503, 'SlowDown'],
    [503, 'ServiceUnavailable'],
    [500, 'InternalError'],
  ])('and answers each request %d %s at first stores and gives back all the same', async (status, code) => {
    const { proxy, store } = await behindProxy()
    const refused = new Set<string>()
    proxy.fault = ({ method, path, bytes }: Passed) => {
      const request = `${method} ${path} ${bytes}`
      if (refused.has(request)) return undefined
      refused.add(request)
      return refusal(status, code)
    }
    const upload = await store.upload(DIRECTORY)
    const writer = await upload.open('0', 0)
    await writer.write(CONTENT)
    await writer.finish()
    await writer.close()
    await upload.commit(['0'])
    expect((await contentOf(store, `${DIRECTORY}0`)).equals(CONTENT)).toBe(true)
    expect(await keysOf(store, '')).toEqual([`${DIRECTORY}0`])
    // The upload's beginning, three parts and end, and what was asked besides.
    expect(refused.size).toBeGreaterThan(8)
  })

  test('for good is unavailable within a minute, and has nothing that is not whole', async () => {
    const { proxy, store } = await behindProxy()
    const upload = await store.upload(DIRECTORY)
    const writer = await upload.open('0', 0)
    proxy.fault = ({ path }) => (path.includes('partNumber=2') ? refusal(503, 'SlowDown') : undefined)
    const began = performance.now()
    const writing = async () => {
      await writer.write(CONTENT)
      await writer.finish()
    }
    await expect(writing()).rejects.toThrow(ofType('StorageUnavailable'))
    expect(performance.now() - began).toBeLessThan(60_000)
    await writer.close()
    proxy.fault = () => undefined
    expect(await keysOf(store, '')).toEqual([])
    // Parts that had arrived are kept for the next attempt.
    const again = await upload.open('0', CONTENT.length)
    expect(again.kept).toBeGreaterThan(0)
    await again.write(CONTENT.subarray(again.kept))
    await again.finish()
    await again.close()
    await upload.commit(['0'])
    expect((await contentOf(store, `${DIRECTORY}0`)).equals(CONTENT)).toBe(true)
  })
})
