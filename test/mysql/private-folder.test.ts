import { chown, mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { giveTreeToOwner, privateFolder } from '../../mysql/data/private-folder.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

const isRoot = process.getuid?.() === 0

test('the private folder is for its owner only, and making it again changes nothing', async () => {
  const root = await temporaryDirectory()
  const folder = await privateFolder(root)
  await writeFile(join(folder, 'lease'), 'kept')
  expect(await privateFolder(root)).toBe(folder)
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  await expect(privateFolder(join(root, 'absent'))).rejects.toMatchObject({ type: 'InvalidConfig' })
})

test.runIf(isRoot)('what root makes belongs to the owner of the data directory, who runs mysqld', async () => {
  const root = await temporaryDirectory()
  await chown(root, 4711, 4712)
  const folder = await privateFolder(root)
  await mkdir(join(folder, 'staging', 'db'), { recursive: true })
  await writeFile(join(folder, 'staging', 'db', 't.ibd'), '')
  await giveTreeToOwner(root, join(folder, 'staging'))
  for (const path of ['', 'staging', 'staging/db', 'staging/db/t.ibd']) {
    expect(await stat(join(folder, path))).toMatchObject({ uid: 4711, gid: 4712 })
  }
})
