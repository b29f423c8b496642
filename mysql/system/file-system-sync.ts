import { close, open } from 'node:fs'
import { promisify } from 'node:util'
import { binding, systemError, waited } from './libc.ts'

const openFile = promisify(open)
const closeFile = promisify(close)

const calls = binding(({ koffi, library }) => {
  const syncfs = library.func('syncfs', 'int', ['int'])
  return { syncfs: (descriptor: number) => waited(koffi, syncfs, [descriptor]) }
})

/**
 * Makes everything durable that was written to the file system of `path`, by whomever (syncfs(2)). The call waits in another thread.
 * Before Linux 5.8 it keeps silent about data that could not be written.
 * @throws InvalidConfig on other systems than Linux; the system's error, with its code, when it fails
 */
export async function syncFileSystem(path: string): Promise<void> {
  const { syncfs } = calls()
  const descriptor = await openFile(path, 'r')
  try {
    const errno = await syncfs(descriptor)
    if (errno !== 0) throw systemError('syncfs', errno, path)
  } finally {
    await closeFile(descriptor)
  }
}
