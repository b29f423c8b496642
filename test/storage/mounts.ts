import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { temporaryDirectory } from './temporary-directory.ts'

const run = promisify(execFile)

/** Why these tests cannot run here, or undefined: mounting takes root, and a container may not even then. */
export const NO_MOUNTS = reasonAgainstMounting()

export async function mount(...options: readonly string[]): Promise<void> {
  await run('mount', options)
}

export async function unmount(path: string): Promise<void> {
  await run('umount', [path])
}

/** A file system in memory that has room for `kibibytes`; it goes when the test ends. */
export async function smallFileSystem(kibibytes: number): Promise<string> {
  const path = await temporaryDirectory()
  await mount('-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', path)
  onTestFinished(() => unmount(path))
  return path
}

/**
 * The same on a disk: ext4 in a file.
 * @param directory where that is: a disk that has no more room than is there
 * @param format options of mkfs.ext4
 */
export async function smallDisk(
  mebibytes: number,
  directory?: string,
  format: readonly string[] = [],
): Promise<string> {
  const path = await temporaryDirectory()
  const image = join(directory ?? (await temporaryDirectory()), 'image')
  await run('truncate', ['-s', `${mebibytes}M`, image])
  await run('mkfs.ext4', ['-q', '-m', '0', ...format, image])
  await mount('-o', 'loop', image, path)
  onTestFinished(() => unmount(path))
  return path
}

/**
 * What the disk under the file system at `path`, which `smallDisk` gave, holds now that its host loses power: a copy of it, mounted.
 */
export async function afterPowerLoss(path: string): Promise<string> {
  const device = (await run('findmnt', ['-n', '-o', 'SOURCE', path])).stdout.trim()
  const image = (await run('losetup', ['-n', '-O', 'BACK-FILE', device])).stdout.trim()
  const [directory, copy] = [await temporaryDirectory(), await temporaryDirectory()]
  await run('cp', [image, join(directory, 'image')])
  await mount('-o', 'loop', join(directory, 'image'), copy)
  onTestFinished(() => unmount(copy))
  return copy
}

/** A file system over the one at `base`, as containers have it; what is written to it is in `base`'s directory `upper`. */
export async function overlay(base: string): Promise<string> {
  const path = await temporaryDirectory()
  const [lower, upper, work] = [join(base, 'lower'), join(base, 'upper'), join(base, 'work')]
  await run('mkdir', [lower, upper, work])
  await mount('-t', 'overlay', '-o', `lowerdir=${lower},upperdir=${upper},workdir=${work}`, 'overlay', path)
  onTestFinished(() => unmount(path))
  return path
}

/**
 * The same over a disk that loses what is written to its files, and not what it writes of itself: that has its room already. So the disk
 * does not fail, and tells of the loss only those who ask it for the files.
 * @param directory that is there
 */
export async function losingOverlay(kibibytes: number, directory: string): Promise<string> {
  const format = ['-b', '4096', '-O', '^has_journal', '-E', 'lazy_itable_init=0']
  const path = await overlay(await smallDisk(64, await smallFileSystem(kibibytes), format))
  await run('mkdir', ['-p', join(path, directory)])
  // Room for the descriptions of as many.
  for (let file = 0; file < 100; file += 1) await writeFile(join(path, String(file)), 'x')
  await run('sync', ['-f', path])
  return path
}

/** Makes a directory one that not even root may change. */
export async function freeze(path: string): Promise<void> {
  await run('chattr', ['+i', path])
  onTestFinished(async () => {
    await run('chattr', ['-i', path])
  })
}

function reasonAgainstMounting(): string | undefined {
  const path = mkdtempSync(join(tmpdir(), 'tabletkeeper-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path], { stdio: 'pipe' })
    execFileSync('umount', [path], { stdio: 'pipe' })
    rmdirSync(path)
    return undefined
  } catch (error) {
    rmSync(path, { recursive: true, force: true })
    return `file systems cannot be mounted here: ${error instanceof Error ? error.message.trim() : error}`
  }
}
