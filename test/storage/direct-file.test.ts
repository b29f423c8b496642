import { constants } from 'node:fs'
import { open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { directBlockOf, O_DIRECT } from '../../mysql/system/direct-io.ts'
import { DirectFile } from '../../storage/file/direct-file.ts'
import { smallDisk } from './mounts.ts'

const MIB = 1024 * 1024
const sizes = fc.oneof(
  fc.integer({ min: 0, max: 9_000 }),
  fc.integer({ min: MIB - 2, max: MIB + 2 }),
  fc.constantFrom(4_096, 8_192, 3 * MIB),
)

test('a file that is written past the page cache holds what was written, whatever the sizes of the writes', async () => {
  const disk = await smallDisk(128)
  const block = (await directBlockOf(disk)) ?? 0
  expect(block).toBeGreaterThanOrEqual(4_096)
  let files = 0
  await fc.assert(
    fc.asyncProperty(fc.array(sizes, { maxLength: 8 }), async (lengths) => {
      files += 1
      const path = join(disk, String(files % 2))
      const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | O_DIRECT)
      const file = await DirectFile.open(handle, 0, block)
      const pieces = lengths.map((length, index) => Buffer.alloc(length, `${index} `))
      let written = 0
      for (const piece of pieces) {
        await file.write(piece)
        written += piece.length
        expect(file.kept).toBeLessThanOrEqual(written)
        expect(file.kept % block).toBe(0)
        expect((await stat(path)).size).toBe(file.kept)
      }
      await file.finish()
      expect(file.kept).toBe(written)
      await file.close()
      expect(Buffer.concat(pieces).equals(await readFile(path))).toBe(true)
    }),
    { numRuns: 60 },
  )
})
