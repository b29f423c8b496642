import { join, resolve, sep } from 'node:path'
import { TabletkeeperError } from '../../model/errors.ts'
import type { FileBase, Manifest } from '../../model/manifest.ts'
import type { ObjectKey } from '../../storage/object-store.ts'
import { assertStored } from '../backup/check.ts'
import type { FramedObject } from '../backup/framed-object.ts'
import { framesOf } from '../frames/frame.ts'
import { largestFrame, seekTableSize } from '../frames/seek-table.ts'

/** Where the files of each base are written to: staging directories, never the data directory itself. */
export type StagingRoots = Readonly<Record<FileBase, string>>

/** One file to be restored, and all that is known of it before it is read. */
export interface FileRestore {
  /** In the MANIFEST. */
  readonly index: number
  readonly key: ObjectKey
  readonly path: string
  readonly hash: string
  readonly storedSize: number
  /** How it is framed; undefined in backups that Vitess made. */
  readonly framed: FramedObject | undefined
}

/**
 * Matches a MANIFEST with what storage has: nothing is downloaded when an object is missing.
 * @throws CorruptBackup naming the object, or the path that leaves its staging directory
 */
export function planRestore(
  manifest: Manifest,
  directory: string,
  roots: StagingRoots,
  storedSizes: ReadonlyMap<string, number>,
): FileRestore[] {
  const { Files: sections = [], FrameSize: frameSize = 1 } = manifest.Tabletkeeper ?? {}
  const paths = new Set<string>()
  return manifest.FileEntries.map((entry, index) => {
    const key = `${directory}${index}`
    const path = pathBelow(roots[entry.Base], entry.Name)
    // Two bases can be one directory, so this is more than the MANIFEST's own check.
    if (paths.has(path))
      throw new TabletkeeperError('CorruptBackup', `${directory}MANIFEST lists two files for ${path}`)
    paths.add(path)
    const section = sections[index]
    const storedSize = assertStored(storedSizes, key, section?.Stored)
    if (section !== undefined) assertPlausible(key, storedSize, section.Size, frameSize)
    const framed = section && {
      key,
      stored: storedSize,
      plain: section.Size,
      frameSize,
      crc: entry.Hash,
      hash: section.Hash,
    }
    return { index, key, path, hash: entry.Hash, storedSize, framed }
  })
}

/** What is read into memory for an object is bounded by this, whatever the MANIFEST says. */
function assertPlausible(key: ObjectKey, stored: number, plain: number, frameSize: number): void {
  const frames = framesOf(plain, frameSize)
  if (stored <= largestFrame(plain) + frames * 1024 + seekTableSize(frames)) return
  throw new TabletkeeperError('CorruptBackup', `${key} has ${stored} bytes for ${plain} plain ones`)
}

function pathBelow(root: string, name: string): string {
  const path = resolve(join(root, name))
  if (!path.startsWith(resolve(root) + sep)) {
    throw new TabletkeeperError('CorruptBackup', `${JSON.stringify(name)} leaves the directory that it is restored to`)
  }
  return path
}
