import { mkdir, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from './command.ts'

const MEBIBYTE = 1024 * 1024
/** Together with its journal, ext4 is of use from about here on. */
const LEAST_MEBIBYTES = 16

/** A file system that is full but for a little, mounted until it is disposed of. */
export interface FullFileSystem extends AsyncDisposable {
  readonly path: string
}

/**
 * Makes an ext4 in a sparse file, mounts it, and fills it until about `room` mebibytes are left.
 * @throws NotFound with what mkfs or mount said
 */
export async function mountFull(room: number): Promise<FullFileSystem> {
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-full-'))
  const [image, path] = [join(directory, 'image'), join(directory, 'mount')]
  let isMounted = false
  const dispose = async () => {
    if (isMounted) await runCommand('umount', [path])
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await mkdir(path)
    await runCommand('truncate', ['-s', `${2 * room + LEAST_MEBIBYTES}M`, image])
    await runCommand('mkfs.ext4', ['-q', '-m', '0', image])
    await runCommand('mount', ['-o', 'loop', image, path])
    isMounted = true
    const { bavail, bsize } = await statfs(path)
    // A hidden name: it is no part of what a store has.
    await writeFile(join(path, '.filler'), Buffer.alloc(Math.max(0, bavail * bsize - room * MEBIBYTE)))
  } catch (error) {
    await dispose()
    throw error
  }
  return { path, [Symbol.asyncDispose]: dispose }
}
