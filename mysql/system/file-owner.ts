import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isCode } from './system-error.ts'

/** A file or directory, and the name of the user that it belongs to. */
export interface OwnedFile {
  readonly path: string
  readonly owner: string
}

/** Whose `path` is; where this process may not see it, or it is not there, the next directory above that it sees. */
export async function ownedFile(path: string): Promise<OwnedFile> {
  try {
    return { path, owner: await userName((await stat(path)).uid) }
  } catch (error) {
    if (!isCode(error, 'EACCES', 'EPERM', 'ENOENT') || path === dirname(path)) throw error
    return await ownedFile(dirname(path))
  }
}

/** From the host's own list: users of a directory service go by their number. */
async function userName(uid: number): Promise<string> {
  const users = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'))
  const [name = `user ${uid}`] = users.find((fields) => fields[2] === String(uid)) ?? []
  return name
}
