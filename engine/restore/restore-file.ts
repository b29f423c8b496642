import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { FILE_MODE } from '../../storage/file/durable-file.ts'
import { plainBytes, type StreamReading } from '../frames/plain-stream.ts'
import { localFileError } from '../local-file-error.ts'
import type { FileRestore } from './restore-plan.ts'

const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants

/**
 * Writes one file from an object of Vitess, which is one compressed stream; its directory must be there. What is there already is
 * overwritten. Nothing runs any more when this settles.
 * @returns its plain size
 * @throws CorruptBackup naming the object when its bytes are not those of the MANIFEST; StorageFull or Refused when the host's own disk
 * says no; the errors of the store; the signal's reason
 */
export async function restoreFile(file: FileRestore, reading: StreamReading): Promise<number> {
  const output = await local(file, open(file.path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, FILE_MODE))
  try {
    let size = 0
    for await (const chunk of plainBytes(file, reading)) {
      await local(file, writeAll(output, chunk))
      size += chunk.length
    }
    return size
  } finally {
    await output.close()
  }
}

async function local<T>(file: FileRestore, action: Promise<T>): Promise<T> {
  try {
    return await action
  } catch (error) {
    throw localFileError(error, 'write', file.path)
  }
}

async function writeAll(output: FileHandle, bytes: Buffer): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await output.write(bytes, written)).bytesWritten
  }
}
