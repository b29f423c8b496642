import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { syncFileSystem } from '../../mysql/system/file-system-sync.ts'
import { afterPowerLoss, NO_MOUNTS, smallDisk } from '../storage/mounts.ts'

describe('a file system', () => {
  test.skipIf(NO_MOUNTS !== undefined)(
    'that was synced keeps what was written to it when its host loses power',
    async () => {
      const disk = await smallDisk(16)
      await writeFile(join(disk, 'file'), 'written')
      await Promise.all([disk, join(disk, 'file'), disk].map(syncFileSystem))
      expect(await readFile(join(await afterPowerLoss(disk), 'file'), 'utf8')).toBe('written')
    },
  )

  test('is not synced by a path that does not exist', async () => {
    await expect(syncFileSystem('/does/not/exist')).rejects.toThrow(expect.objectContaining({ code: 'ENOENT' }))
  })
})
