import { mkdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../sandbox/command.ts'
import { mountCow, obstacleToCow } from '../../sandbox/cow-file-system.ts'
import type { Need } from './cases.ts'

const STORAGE_MEGABYTES = 400
/** The data, the data that a restore replaces, and what a clone no longer shares. */
const DATA_MEGABYTES = 2_000
const MEBIBYTE = 1024 * 1024
const FILLER = '.filler'
const SPARED_MEBIBYTES = [1, 16, 64, 256]

/** A file system that can get into trouble. */
export interface Place extends AsyncDisposable {
  readonly path: string
  /** Leaves nothing free, until `relieve`. */
  fill(): Promise<void>
  relieve(): Promise<void>
}

/** Where backups are kept, as a mount of a network file system: it may go away, and it may hang. */
export interface StoragePlace extends Place {
  /** Whoever looks finds an empty directory; open files go on. Until `attach`. */
  detach(): Promise<void>
  attach(): Promise<void>
  /** What writes waits, until `thaw`. */
  freeze(): Promise<void>
  thaw(): Promise<void>
}

/** Why cases with such a need cannot be run on this machine. */
export async function obstacles(): Promise<ReadonlyMap<Need, string>> {
  const obstacle = await obstacleToCow()
  if (obstacle === undefined) return new Map()
  return new Map([
    ['mounts', obstacle],
    ['clones', obstacle],
  ])
}

/** An XFS of its own for a tablet's data. */
export async function mountData(): Promise<Place> {
  const cow = await mountCow(DATA_MEGABYTES)
  return { ...filling(cow.path), [Symbol.asyncDispose]: () => cow[Symbol.asyncDispose]() }
}

/** An ext4 of its own for backups. `directory` is made for its image and its mount point. */
export async function mountStorage(directory: string): Promise<StoragePlace> {
  const [image, path] = [join(directory, 'image'), join(directory, 'mount')]
  await mkdir(path, { recursive: true })
  await runCommand('truncate', ['-s', `${STORAGE_MEGABYTES}M`, image])
  await runCommand('mkfs.ext4', ['-q', '-m', '0', image])
  const loop = (await runCommand('losetup', ['--find', '--show', image])).trim()
  const attach = async () => void (await runCommand('mount', ['-o', 'noatime', loop, path]))
  await attach()
  return {
    ...filling(path),
    detach: async () => void (await runCommand('umount', ['--lazy', path])),
    attach,
    freeze: async () => void (await runCommand('fsfreeze', ['--freeze', path])),
    thaw: async () => void (await runCommand('fsfreeze', ['--unfreeze', path])),
    [Symbol.asyncDispose]: async () => {
      await runCommand('umount', ['--lazy', path])
      await runCommand('losetup', ['--detach', loop])
    },
  }
}

/** A plain directory, where nothing can be mounted. No case that needs more is run on it. */
export async function plainPlace(path: string): Promise<StoragePlace> {
  await mkdir(path, { recursive: true })
  const never = () => Promise.reject(new Error(`${path} is no mount of its own`))
  return {
    path,
    ...{ fill: never, relieve: never, detach: never, attach: never, freeze: never, thaw: never },
    [Symbol.asyncDispose]: async () => undefined,
  }
}

function filling(path: string): Pick<Place, 'path' | 'fill' | 'relieve'> {
  const filler = join(path, FILLER)
  return {
    path,
    fill: async () => {
      // What a file system says is free is not all for one file; the rest is filled byte by byte, while others write too.
      for (const spared of SPARED_MEBIBYTES) {
        await rm(filler, { force: true })
        const room = (await freeBytes(path)) - spared * MEBIBYTE
        if (room <= 0 || (await allocated(filler, room))) break
      }
      await runCommand('sh', ['-c', `cat /dev/zero >> '${filler}' 2>&1 || true`])
    },
    relieve: () => rm(filler, { force: true }),
  }
}

function allocated(file: string, bytes: number): Promise<boolean> {
  return runCommand('fallocate', ['--length', String(bytes), file]).then(
    () => true,
    () => false,
  )
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize
}
