import type { Dirent } from 'node:fs'
import { readdir, rmdir, stat } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { ObjectInfo } from '../object-store.ts'
import { syncDirectory } from './durable-file.ts'
import { codeOf } from './errors.ts'
import { isVisible } from './names.ts'

/** The directory in which keys that start with `prefix` begin to differ, and what their next part starts with. */
export function splitPrefix(prefix: string): { readonly directory: string; readonly start: string } {
  const slash = prefix.lastIndexOf('/') + 1
  return { directory: prefix.slice(0, slash), start: prefix.slice(slash) }
}

/** The entries of a directory that names below `root`; none when it does not exist. */
export async function entriesBelow(root: string, directory: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(join(root, directory), { withFileTypes: true })
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** The same without the store's own and the file system's. */
export async function visibleEntries(root: string, directory: string): Promise<readonly Dirent[]> {
  return (await entriesBelow(root, directory)).filter((entry) => isVisible(entry.name, directory === ''))
}

/** Keys of all files in `directory` (empty, or ending in `/`) and below it, whose first part starts with `start`. */
export async function keysBelow(root: string, directory: string, start = ''): Promise<string[]> {
  const keys: string[] = []
  for (const entry of await visibleEntries(root, directory)) {
    if (!entry.name.startsWith(start)) continue
    if (entry.isFile()) keys.push(directory + entry.name)
    if (entry.isDirectory()) keys.push(...(await keysBelow(root, `${directory}${entry.name}/`)))
  }
  return keys
}

/** Directories in `directory` and below it whose first part starts with `start`, the deepest first; those with a dot are left out. */
export async function directoriesBelow(root: string, directory: string, start = ''): Promise<string[]> {
  const found: string[] = []
  for (const entry of await visibleEntries(root, directory)) {
    if (!entry.isDirectory() || !entry.name.startsWith(start)) continue
    const below = `${directory}${entry.name}/`
    found.push(...(await directoriesBelow(root, below)), below)
  }
  return found
}

/** What the file of `key` is, or undefined when there is none. */
export async function describeFile(root: string, key: string): Promise<ObjectInfo | undefined> {
  try {
    const stats = await stat(join(root, key))
    return stats.isFile() ? { key, size: stats.size, modified: stats.mtime } : undefined
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Makes the removal of entries of `directories` durable, and removes the directories that became empty, with those above them. */
export async function settleRemoval(root: string, directories: Iterable<string>): Promise<void> {
  for (const directory of new Set(directories)) {
    await ignoring(isMissing, () => syncDirectory(directory))
    await removeEmpty(root, directory)
  }
}

/** Whether an error says that nothing has that name. */
export function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')
}

async function removeEmpty(root: string, directory: string): Promise<void> {
  if (relative(root, directory) === '') return
  const gone = await ignoring(staysHarmlessly, () => rmdir(directory))
  if (!gone) return
  await ignoring(isMissing, () => syncDirectory(dirname(directory)))
  await removeEmpty(root, dirname(directory))
}

/** Somebody else removed it first, has put something in, or is the only one who may: an empty directory does no harm. */
function staysHarmlessly(error: unknown): boolean {
  return ['ENOENT', 'ENOTEMPTY', 'EEXIST', 'EBUSY', 'EACCES', 'EPERM', 'EROFS'].includes(codeOf(error) ?? '')
}

async function ignoring(expected: (error: unknown) => boolean, action: () => Promise<void>): Promise<boolean> {
  try {
    await action()
    return true
  } catch (error) {
    if (expected(error)) return false
    throw error
  }
}
