import { glob, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { messageOf, TabletkeeperError } from '../model/errors.ts'
import { cached } from './cache.ts'
import { findProgram, runCommand } from './command.ts'
import { unpackFromSid } from './private-apt.ts'

/** A file system on which files can share blocks, of its own, mounted until it is disposed of. */
export interface CowFileSystem extends AsyncDisposable {
  readonly path: string
}

export const COW_KINDS = ['xfs', 'btrfs'] as const
export type CowKind = (typeof COW_KINDS)[number]

/** mkfs.xfs makes none smaller. */
const LEAST_MEGABYTES = 300

/** Why none can be made here, or undefined: mounting takes root and loop devices, and a container may not have them even then. */
export async function obstacleToCow(kind: CowKind = 'xfs'): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'file systems can be mounted by root only'
  try {
    await using _ = await mountCow(LEAST_MEGABYTES, kind)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/**
 * Makes an XFS or a Btrfs in a sparse file, and mounts it. It takes the room of what is written to it.
 * @throws NotFound with what mkfs or mount said
 */
export async function mountCow(megabytes: number, kind: CowKind = 'xfs'): Promise<CowFileSystem> {
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-cow-'))
  const [image, path] = [join(directory, 'image'), join(directory, 'mount')]
  try {
    await mkdir(path)
    await runCommand('truncate', ['-s', `${Math.max(megabytes, LEAST_MEGABYTES)}M`, image])
    const [mkfs, options] = await (kind === 'xfs' ? provideMkfsXfs() : provideMkfsBtrfs())
    await runCommand(mkfs, [...options, '-q', image])
    await runCommand('mount', ['-o', 'loop', image, path])
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await runCommand('umount', [path])
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** A program, and what it has to be told. */
type Mkfs = readonly [program: string, options: readonly string[]]

/** mkfs.xfs of this machine, else one that is installed into the cache. */
async function provideMkfsXfs(): Promise<Mkfs> {
  const present = await findProgram('mkfs.xfs', ['/usr/sbin', '/sbin'])
  if (present !== undefined) return [present, ['-m', 'reflink=1']]
  const root = await cached('xfsprogs', (directory) => unpackFromSid(['xfsprogs'], directory, NOT_NEEDED))
  // A mkfs that is newer than the kernel turns on what that cannot mount. These have reflink, too.
  const features = await only(root, 'usr/share/xfsprogs/mkfs/lts_5.10.conf')
  return await unpacked(root, 'usr/sbin/mkfs.xfs', ['-c', `options=${join(root, features)}`])
}

/** mkfs.btrfs of this machine, else one that is installed into the cache. */
async function provideMkfsBtrfs(): Promise<Mkfs> {
  const present = await findProgram('mkfs.btrfs', ['/usr/sbin', '/sbin'])
  if (present !== undefined) return [present, []]
  const root = await cached('btrfs-progs', (directory) => unpackFromSid(['btrfs-progs'], directory, NOT_NEEDED))
  return await unpacked(root, 'usr/{bin,sbin}/mkfs.btrfs', [])
}

/** A program that was unpacked with all of its libraries, which need not be this machine's. */
async function unpacked(root: string, program: string, options: readonly string[]): Promise<Mkfs> {
  const loader = await only(root, 'usr/lib/*/ld-linux-*.so.*')
  const libraries = join(root, dirname(loader))
  return [join(root, loader), ['--library-path', libraries, join(root, await only(root, program)), ...options]]
}

/** Only programs beside mkfs need Python. */
const NOT_NEEDED = /^(lib)?python3|^media-types|^tzdata|^netbase/

async function only(root: string, pattern: string): Promise<string> {
  for await (const path of glob(pattern, { cwd: root })) return path
  throw new TabletkeeperError('NotFound', `what was unpacked into ${root} holds no ${pattern}`)
}
