import { execFile } from 'node:child_process'
import { rename } from 'node:fs/promises'
import { promisify } from 'node:util'

/** Puts a copy in the place of a file: of the same bytes, mode and times, to the nanosecond. */
export async function replaceByCopy(path: string): Promise<void> {
  await rename(path, `${path}.old`)
  await promisify(execFile)('cp', ['--preserve=all', `${path}.old`, path])
}
