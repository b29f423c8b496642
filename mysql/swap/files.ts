import { mkdir, open, rename, rm, rmdir } from 'node:fs/promises'
import { orMissing } from '../system/system-error.ts'

/**
 * Everything that a swap does to a file system, so that a test can end it after any of these. Each is one or a few system calls; `remove`
 * and `write` may be cut short in the middle.
 */
export interface SwapFiles {
  /** Makes a directory for its owner only, unless it is there. */
  makeDirectory(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** Writes a file that did not exist or may be overwritten, and makes its content durable. */
  write(path: string, text: string): Promise<void>
  /** Makes the entries of a directory durable. */
  sync(directory: string): Promise<void>
  /** Removes a directory that has to be empty; nothing there is no error. */
  removeEmpty(directory: string): Promise<void>
  /** Removes a file or a whole tree; nothing there is no error. */
  remove(path: string): Promise<void>
}

export const realSwapFiles: SwapFiles = {
  makeDirectory: async (path) => {
    await mkdir(path, { mode: 0o700, recursive: true })
  },
  rename,
  write: async (path, text) => {
    await using file = await open(path, 'w', 0o600)
    await file.writeFile(text)
    await file.sync()
  },
  sync: async (directory) => {
    await using handle = await open(directory, 'r')
    await handle.sync()
  },
  removeEmpty: async (directory) => {
    await orMissing(rmdir(directory))
  },
  remove: (path) => rm(path, { recursive: true, force: true }),
}
