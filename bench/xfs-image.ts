import { mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram, runCommand } from '../sandbox/command.ts'

/** An XFS with reflinks in a file, mounted. */
export interface XfsImage extends AsyncDisposable {
  readonly mountPoint: string
}

/** Whether this machine and user can make one. */
export async function canMountXfs(): Promise<boolean> {
  const isRoot = process.getuid?.() === 0
  return isRoot && (await findProgram('mkfs.xfs', ['/usr/sbin', '/sbin'])) !== undefined
}

/**
 * Makes and mounts an image in `directory`; disposing unmounts and removes it.
 * @param bytes its size; the file takes what is written
 */
export async function mountXfs(directory: string, bytes: number): Promise<XfsImage> {
  const image = join(directory, 'xfs.img')
  const mountPoint = join(directory, 'xfs')
  await mkdir(mountPoint)
  await writeFile(image, '')
  await truncate(image, bytes)
  await runCommand('mkfs.xfs', ['-q', '-m', 'reflink=1', image])
  await runCommand('mount', ['-o', 'loop', image, mountPoint])
  return {
    mountPoint,
    [Symbol.asyncDispose]: async () => {
      await runCommand('umount', [mountPoint])
      await rm(image)
    },
  }
}
