import { randomBytes } from 'node:crypto'
import { access, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canCloneInto, canReflink, cloneFiles } from '../../engine/backup/snapshot.ts'
import { privateFolder, privateFolderPath } from '../../mysql/data/private-folder.ts'
import { runCommand } from '../../sandbox/command.ts'
import { COW_KINDS, type CowFileSystem, mountCow, obstacleToCow } from '../../sandbox/cow-file-system.ts'
import { smallDisk, smallFileSystem } from '../storage/mounts.ts'

const never = new AbortController().signal

for (const kind of COW_KINDS) {
  const obstacle = await obstacleToCow(kind)
  describe.skipIf(obstacle !== undefined)(`cloning files on ${kind}`, () => {
    let cow: CowFileSystem
    let made = 0

    beforeAll(async () => {
      cow = await mountCow(300, kind)
    })
    afterAll(async () => {
      await cow?.[Symbol.asyncDispose]()
    })

    async function directory(): Promise<string> {
      made += 1
      const path = join(cow.path, String(made))
      await mkdir(path)
      return path
    }

    test.each([0, 1, 4095, 4096, 4097, 1_000_003])('of %i bytes: the clone is the file, and stays it', async (size) => {
      const [from, to] = [join(await directory(), 'file'), join(await directory(), 'clone')]
      const content = randomBytes(size)
      await writeFile(from, content)
      await cloneFiles([{ file: { path: from }, to }], never)
      await writeFile(from, 'something else, written later')
      expect((await readFile(to)).equals(content)).toBe(true)
      expect((await stat(to)).mode & 0o777).toBe(0o600)
    })

    test('onto one that is there, shorter or longer', async () => {
      const path = await directory()
      const [from, shorter, longer] = ['file', 'shorter', 'longer'].map((name) => join(path, name))
      if (from === undefined || shorter === undefined || longer === undefined) return expect.fail()
      const content = randomBytes(10_000)
      await writeFile(from, content)
      await writeFile(shorter, 'x')
      await writeFile(longer, randomBytes(50_000))
      await cloneFiles(
        [shorter, longer].map((to) => ({ file: { path: from }, to })),
        never,
      )
      for (const to of [shorter, longer]) expect((await readFile(to)).equals(content)).toBe(true)
    })

    test('takes no room', async () => {
      const path = await directory()
      await writeFile(join(path, 'file'), randomBytes(20_000_000))
      const files = Array.from({ length: 50 }, (_, at) => ({
        file: { path: join(path, 'file') },
        to: join(path, `clone ${at}`),
      }))
      // Fifty times that does not fit.
      await cloneFiles(files, never)
    })

    test('says which file is gone, which is on another file system, and stops when it is told to', async () => {
      const path = await directory()
      const [absent, to] = [join(path, 'absent'), join(path, 'clone')]
      await expect(cloneFiles([{ file: { path: absent }, to }], never)).rejects.toMatchObject({
        type: 'FenceBroken',
        message: `${absent} was removed while it was cloned`,
      })
      const elsewhere = join(await smallFileSystem(64), 'file')
      await writeFile(elsewhere, 'x')
      await expect(cloneFiles([{ file: { path: elsewhere }, to }], never)).rejects.toMatchObject({
        type: 'Refused',
        message: expect.stringContaining(`${elsewhere} cannot be cloned`),
      })
      const stopped = AbortSignal.abort(new Error('told to stop'))
      const last = join(path, 'never made')
      await expect(cloneFiles([{ file: { path: elsewhere }, to: last }], stopped)).rejects.toThrow('told to stop')
      await expect(access(last)).rejects.toMatchObject({ code: 'ENOENT' })
    })

    test('follows no symbolic link, on neither side', async () => {
      const path = await directory()
      await writeFile(join(path, 'file'), 'x')
      await symlink(join(path, 'file'), join(path, 'link'))
      for (const [from, to] of [
        ['link', 'clone'],
        ['file', 'link'],
      ] as const)
        await expect(
          cloneFiles([{ file: { path: join(path, from) }, to: join(path, to) }], never),
        ).rejects.toMatchObject({
          type: 'Refused',
        })
    })

    test.runIf(kind === 'btrfs')('that are written in place works into a folder for such files only', async () => {
      const [before, after] = [await directory(), await directory()]
      await privateFolder(after)
      for (const path of [before, after]) {
        await runCommand('chattr', ['+C', path])
        await writeFile(join(path, 'file'), 'content')
      }
      expect(await canCloneInto(before, join(before, 'file'))).toBe(true)
      expect(await canCloneInto(after, join(after, 'file'))).toBe(false)
    })

    test('is possible here, and neither on ext4 nor on tmpfs', async () => {
      const fits = await directory()
      const [file, gone] = [join(fits, 'file'), join(fits, 'gone')]
      await writeFile(file, 'content')
      expect(await canReflink(fits)).toBe(true)
      for (const path of [file, gone]) expect(await canCloneInto(fits, path)).toBe(true)
      expect(await readdir(privateFolderPath(fits))).toEqual([])
      expect(await canReflink(await smallDisk(16))).toBe(false)
      expect(await canReflink(await smallFileSystem(512))).toBe(false)
    })
  })
}
