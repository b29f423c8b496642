import { addAbortSignal, Readable } from 'node:stream'
import { FileStore } from '../../storage/file/file.ts'
import type { ObjectStore } from '../../storage/object-store.ts'

/** Options of `storage`: where the objects are, and the key of the one that nobody gets to read. */
interface WaitingOptions {
  readonly root: string
  readonly waitsFor: string
}

/** A module of storage: files, of which one is waited for until Ctrl-C. A process that has to read it never comes to an end by itself. */
export default function waitingStore({ root, waitsFor }: WaitingOptions): ObjectStore {
  const interrupted = new AbortController()
  process.on('SIGINT', () => interrupted.abort())
  const files: ObjectStore = new FileStore(root)
  const [get, localPath] = [files.get.bind(files), files.localPath.bind(files)]
  return Object.assign(files, {
    get: async (...[key, range]: Parameters<ObjectStore['get']>) =>
      key === waitsFor
        ? addAbortSignal(interrupted.signal, new Readable({ read: () => undefined }))
        : await get(key, range),
    localPath: (key: string) => (key === waitsFor ? undefined : localPath(key)),
  })
}
