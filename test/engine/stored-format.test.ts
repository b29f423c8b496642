import { execFileSync } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createZstdDecompress } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { FRAME_SIZE } from '../../engine/frames/frame.ts'
import { ZstdFrames } from '../../engine/frames/zstd-frames.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { copy, DIRECTORY, newStore } from './sample-backup.ts'
import { type SampleContent, writeContent } from './sample-content.ts'
import { readStoredObject } from './stored-object.ts'

const HAS_ZSTD = hasProgram('zstd')

const CONTENTS: readonly Omit<SampleContent, 'name' | 'seed'>[] = [
  { size: 0, kind: 'zero' },
  { size: 1, kind: 'random' },
  { size: 700_000, kind: 'text' },
  { size: FRAME_SIZE, kind: 'mixed' },
  { size: FRAME_SIZE + 1, kind: 'text' },
  { size: 3 * FRAME_SIZE - 1, kind: 'mixed' },
  { size: 4 * FRAME_SIZE, kind: 'zero' },
  { size: 3 * FRAME_SIZE + 17, kind: 'sparse' },
]

function hasProgram(name: string): boolean {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

async function storedObjects() {
  const source = await temporaryDirectory()
  const files = await Promise.all(
    CONTENTS.map((content, seed) => writeContent(source, { ...content, name: `db/${seed}`, seed })),
  )
  const { store, root } = await newStore()
  await copy(files, { store, concurrency: 2 })
  return files.map((file, index) => ({ ...file, object: join(root, DIRECTORY, String(index)) }))
}

describe('an object of any number of frames is a zstd stream', () => {
  test.skipIf(!HAS_ZSTD)('to the zstd program', async () => {
    for (const { object, path, size } of await storedObjects()) {
      const plain = execFileSync('zstd', ['--decompress', '--stdout', object], { maxBuffer: size + 1 })
      expect(plain.equals(await readFile(path))).toBe(true)
    }
  })

  test.skipIf(!HAS_ZSTD)('whose frames, size and checksums that program lists', async () => {
    for (const { object, size } of await storedObjects()) {
      const listed = execFileSync('zstd', ['--list', '-v', object], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      const frames = Math.max(1, Math.ceil(size / FRAME_SIZE))
      expect(listed).toMatch(new RegExp(`^# Zstandard Frames: ${frames}$`, 'm'))
      expect(listed).toMatch(/^# Skippable Frames: 1$/m)
      expect(listed).toMatch(new RegExp(`^Decompressed Size:.*\\(${size} B\\)$`, 'm'))
      expect(listed).toMatch(/^Check: XXH64/m)
    }
  })

  test('to Node, when its frames are cut apart', async () => {
    for (const { object, path } of await storedObjects()) {
      const pieces: Buffer[] = []
      await pipeline(
        createReadStream(object, { highWaterMark: 77_777 }),
        new ZstdFrames(),
        createZstdDecompress(),
        async (source: AsyncIterable<Buffer>) => {
          for await (const piece of source) pieces.push(piece)
        },
      )
      expect(Buffer.concat(pieces).equals(await readFile(path))).toBe(true)
    }
  })

  test('each of which can be read alone, by the seek table at its end', async () => {
    for (const { object, path, size } of await storedObjects()) {
      const { frames, table } = readStoredObject(await readFile(object))
      expect(Buffer.concat(frames.map(({ plain }) => plain)).equals(await readFile(path))).toBe(true)
      expect(frames).toHaveLength(Math.max(1, Math.ceil(size / FRAME_SIZE)))
      expect(table).toHaveLength(17 + 8 * frames.length)
      expect((await stat(object)).mode & 0o777).toBe(0o640)
    }
  })
})
